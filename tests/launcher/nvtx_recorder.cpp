// What a profiler is told of names: a library for NVTX_INJECTION64_PATH that writes each range that
// begins into the file NVTX_RECORD, with its depth, "0 micro", "1 layer 0/attention".
#include <nvtx3/nvToolsExt.h>

#include <cstdio>
#include <cstdlib>

namespace {

std::FILE* record = nullptr;
thread_local int depth = 0;

int push(const char* name) {
  std::fprintf(record, "%d %s\n", depth, name);
  return depth++;
}

int pop() {
  return --depth;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(
    NvtxGetExportTableFunc_t export_table) {
  const char* path = std::getenv("NVTX_RECORD");
  record = path != nullptr ? std::fopen(path, "w") : nullptr;
  const auto* tables =
      static_cast<const NvtxExportTableCallbacks*>(export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned int size = 0;
  if (record == nullptr || tables == nullptr ||
      tables->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size) == 0 ||
      size <= NVTX_CBID_CORE_RangePop) {
    return 0;
  }
  *table[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(push);
  *table[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(pop);
  return 1;
}
