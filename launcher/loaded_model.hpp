// A trained model for inference, from its checkpoint alone.
#pragma once

#include "runtime/checkpoint/load.hpp"
#include "runtime/config/config.hpp"
#include "runtime/execute/parameter_store.hpp"
#include "runtime/train/data_feed.hpp"

namespace ingot {

/// The configuration that the checkpoint was trained with. Error(kCheckpoint) where it is damaged.
Config checkpoint_config(const Checkpoint& checkpoint);
/// What the training data decided about the model.
DataDescription trained_data(const Checkpoint& checkpoint);
/// Loads the weights, or with `average` the averaged ones, into the master weights.
/// Error(kCheckpoint) where there are none.
void load_weights(const Checkpoint& checkpoint, ParameterStore& store, bool average);

}  // namespace ingot
