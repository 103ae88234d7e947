// see async.hpp
#include "execute/async.hpp"

namespace gpusim::execute {
bool deliver_overdue(Context&) {
  return false;
}
void deliver_for(Context&, const Op&, std::uint32_t) {}
}  // namespace gpusim::execute
#include "execute/decode/decoder.hpp"
namespace gpusim::execute {
bool decode_mbarrier(Decoder&) {
  return false;
}
bool decode_async_copy(Decoder&) {
  return false;
}
bool decode_bulk_copy(Decoder&) {
  return false;
}
bool decode_matrix(Decoder&) {
  return false;
}
}  // namespace gpusim::execute
