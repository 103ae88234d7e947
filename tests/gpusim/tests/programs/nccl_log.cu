// environment: GPUSIM_MACHINE=dgx-h100
// architectures: 90
// The log of NCCL_DEBUG=INFO: in the file that NCCL_DEBUG_FILE names, of the parts that
// NCCL_DEBUG_SUBSYS picks, in lines of the real form.
#include <nccl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "check.cuh"

namespace {

constexpr int kCount = 100000;

void check(ncclResult_t result, std::source_location where = std::source_location::current()) {
  if (result != ncclSuccess) fail("NCCL error: ", ncclGetLastError(nullptr), where);
}

/// Sums on two devices, in a process of its own, whose variables are read anew. Its number.
int run_with(const char* subsystems, const char* algorithm) {
  const pid_t child = fork();
  if (child > 0) {
    int status = 1;
    require(waitpid(child, &status, 0) == child && status == 0, "the child ends well");
    return child;
  }
  setenv("NCCL_DEBUG", "INFO", 1);
  setenv("NCCL_DEBUG_SUBSYS", subsystems, 1);
  setenv("NCCL_DEBUG_FILE", "nccl-100%%-%h-%p.log", 1);
  if (algorithm != nullptr) setenv("NCCL_ALGO", algorithm, 1);
  ncclComm_t comms[2];
  check(ncclCommInitAll(comms, 2, nullptr));
  float* data[2];
  for (int d = 0; d < 2; ++d) {
    ::check(cudaSetDevice(d));
    ::check(cudaMalloc(&data[d], kCount * sizeof(float)));
    ::check(cudaMemset(data[d], 0, kCount * sizeof(float)));
  }
  check(ncclGroupStart());
  for (int d = 0; d < 2; ++d) {
    check(ncclAllReduce(data[d], data[d], kCount, ncclFloat32, ncclSum, comms[d], nullptr));
  }
  check(ncclGroupEnd());
  for (int d = 0; d < 2; ++d) {
    ::check(cudaSetDevice(d));
    ::check(cudaDeviceSynchronize());
    ::check(cudaFree(data[d]));
    check(ncclCommDestroy(comms[d]));
  }
  exit(0);
}

std::string log_of(int process) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  std::string name = host;
  name = "nccl-100%-" + name.substr(0, name.find('.')) + "-" + std::to_string(process) + ".log";
  std::ifstream file(name);
  std::stringstream text;
  text << file.rdbuf();
  require(file.is_open(), name.c_str());
  std::remove(name.c_str());
  return text.str();
}

void expect(const std::string& log, const std::string& what, bool there) {
  const std::regex line("\\S+:\\d+:\\d+ \\[[01]\\] NCCL INFO " + what);
  if (std::regex_search(log, line) == there) return;
  std::printf("%s", log.c_str());
  require(false, what.c_str());
}

}  // namespace

int main() {
  char folder[] = "/tmp/gpusim-nccl-log-XXXXXX";
  require(mkdtemp(folder) != nullptr && chdir(folder) == 0, "a folder");
  const std::string all = log_of(run_with("INIT,ENV,GRAPH,TUNING", "tree"));
  require(all.starts_with("NCCL version 2."), "the version comes first");
  expect(all, "NCCL_ALGO set by environment to tree", true);
  expect(all, "comm rank 1 nRanks 2 nNodes 1 localRanks 2 localRank 1 ", true);
  expect(all, "Channel 00/02 : 0 1\n", true);
  expect(all, "Ring 00 : 1 -> 0 -> 1\n", true);
  expect(all, "Trees \\[0\\] 1/-1/-1->0->-1 ", true);
  expect(all, "Trees \\[0\\] -1/-1/-1->1->0 ", true);
  expect(all, "Channel 01/0 : 0\\[0\\] -> 1 via P2P/IPC\n", true);
  expect(all, "AllReduce: 400000 Bytes -> Algo TREE proto LL128 channel", true);
  expect(all, "ncclCommInitRank rank 0 nranks 2 .*Init COMPLETE\n", true);
  const std::string some = log_of(run_with("^GRAPH,INIT", nullptr));
  expect(some, "Ring ", false);
  expect(some, "Trees ", false);
  expect(some, "AllReduce: 400000 Bytes -> Algo RING ", true);
  require(rmdir(folder) == 0, "no other files");
  return done();
}
