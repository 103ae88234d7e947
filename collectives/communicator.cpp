#include "collectives/communicator.hpp"

namespace ingot {

std::string_view name_of(ReduceOperation operation) {
  switch (operation) {
    case ReduceOperation::kSum:
      return "sum";
    case ReduceOperation::kMin:
      return "min";
    case ReduceOperation::kMax:
      return "max";
  }
  return "?";
}

}  // namespace ingot
