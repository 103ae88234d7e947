// MPI_Allreduce in place, sum of f32, as the MPI under mpirun does it by default.
#include "measure.hpp"

int main(int count, char** arguments) {
  MPI_Init(&count, &arguments);
  const bench::Sizes sizes = bench::sizes_of(count, arguments);
  std::vector<float> data(static_cast<std::size_t>(sizes.most) / sizeof(float));
  bench::print_rows(sizes, [&](long bytes) {
    return bench::median_seconds([&] {
      MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(bytes / 4), MPI_FLOAT, MPI_SUM,
                    MPI_COMM_WORLD);
    });
  });
  return MPI_Finalize();
}
