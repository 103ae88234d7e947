#include "launcher/loaded_model.hpp"

#include "runtime/config/load.hpp"
#include "runtime/program/update.hpp"

namespace ingot {

Config checkpoint_config(const Checkpoint& checkpoint) {
  try {
    return parse_config_text(checkpoint.training().config, checkpoint.path + "/" + kConfigName);
  } catch (const Error& error) {
    throw Error(ExitCode::kCheckpoint, error.what());
  }
}

DataDescription trained_data(const Checkpoint& checkpoint) {
  const TrainingState& state = checkpoint.training();
  return {state.model_data, state.tokenizer, state.columns, state.data_checksum};
}

void load_weights(const Checkpoint& checkpoint, ParameterStore& store, bool average) {
  const char* kind = average ? store::kAverage : "weights";
  if (!checkpoint.has(kind)) {
    fail(ExitCode::kCheckpoint,
         "{}: it holds no averaged weights: train with optimizer.ema, or leave --average out",
         checkpoint.path);
  }
  const auto elements = static_cast<std::size_t>(store.layout().elements);
  load_state(checkpoint, {store.layout(), {{kind, {store.master(), elements}, store.transfer()}}});
}

}  // namespace ingot
