// The instruction sets for which *.vec.cpp is compiled, as the code that chooses one sees them.
#pragma once

#include "execute/alu/form.hpp"
#include "execute/alu/matrix.hpp"

namespace gpusim {

namespace baseline {
AluEntry find_all(const Form& form);
MmaFunction find_product(const MatrixForm& form);
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
AluEntry find_all(const Form& form);
MmaFunction find_product(const MatrixForm& form);
}  // namespace avx2
namespace avx512 {
AluEntry find_all(const Form& form);
MmaFunction find_product(const MatrixForm& form);
}  // namespace avx512
#endif

struct AluTarget {
  const char* name;
  AluEntry (*find)(const Form& form);
  MmaFunction (*find_product)(const MatrixForm& form);
};
const AluTarget& alu_target_functions();

}  // namespace gpusim
