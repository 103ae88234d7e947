// Gloo's allreduce in place, sum of f32, over its TCP transport on the loopback interface: the one
// that Debian's package has. The ranks find each other through files in the folder $GLOO_STORE.
#include <gloo/allreduce.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <memory>

#include "measure.hpp"

int main(int count, char** arguments) {
  MPI_Init(&count, &arguments);
  int rank = 0;
  int ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const bench::Sizes sizes = bench::sizes_of(count, arguments);
  gloo::transport::tcp::attr address("localhost");
  auto device = gloo::transport::tcp::CreateDevice(address);
  gloo::rendezvous::FileStore store(std::getenv("GLOO_STORE"));
  auto context = std::make_shared<gloo::rendezvous::Context>(rank, ranks);
  context->connectFullMesh(store, device);

  std::vector<float> data(static_cast<std::size_t>(sizes.most) / sizeof(float));
  bench::print_rows(sizes, [&](long bytes) {
    gloo::AllreduceOptions options(context);
    options.setOutput(data.data(), static_cast<std::size_t>(bytes) / sizeof(float));
    // Not what setReduceFunction would deduce: the reduction's overloads take elements or arrays.
    void (*add)(void*, const void*, const void*, std::size_t) = &gloo::sum<float>;
    options.setReduceFunction(add);
    return bench::median_seconds([&] { gloo::allreduce(options); });
  });
  return MPI_Finalize();
}
