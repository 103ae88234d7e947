// What is in a data set, as text for people.
#pragma once

#include <string>

namespace ingot {

/// Describes a data set of either kind. Tokens: sizes, tokenizer, checksums, a histogram of
/// document lengths and the start of the text; tables: each column's range and the balance of
/// classes. Error(kBadData) as when it is opened for training.
std::string inspect_dataset(const std::string& path);

}  // namespace ingot
