// The families of one instruction set, asked in turn.
#include "execute/alu/target.hpp"

namespace gpusim::GPUSIM_TARGET {

AluEntry find_all(const Form& form) {
  using Lookup = AluEntry (*)(const Form&);
  constexpr Lookup kFamilies[] = {
      find_carry,   find_integer,        find_bits,    find_float,  find_rounded,
      find_half,    find_approximate,    find_compare, find_select, find_convert_integer,
      find_convert, find_convert_packed, find_video,
  };
  for (const Lookup family : kFamilies) {
    const AluEntry entry_found = family(form);
    if (entry_found.function != nullptr) return entry_found;
  }
  return {};
}

}  // namespace gpusim::GPUSIM_TARGET
