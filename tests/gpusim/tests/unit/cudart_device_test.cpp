// Devices, errors, faults of the machine file, and kernels as far as they are not executed.
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "cudart_fixture.hpp"
#include "machine/error_codes.hpp"

namespace gpusim::cudart {
namespace {

TEST(Devices, AreAsManyAsTheMachineHas) {
  int count = 0, number = -1;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 2);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaGetDevice(&number), cudaSuccess);
  EXPECT_EQ(number, 1);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
}

TEST(Devices, DescribeThemselvesConsistently) {
  cudaDeviceProp p;
  ASSERT_EQ(cudaGetDeviceProperties(&p, 0), cudaSuccess);
  EXPECT_EQ(p.major, 9);
  EXPECT_EQ(p.warpSize, 32);
  EXPECT_EQ(p.multiProcessorCount, 4);
  int value = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0),
            cudaSuccess);
  EXPECT_EQ(static_cast<std::size_t>(value), p.sharedMemPerBlockOptin);
  char text[32];
  int number = -1;
  ASSERT_EQ(cudaDeviceGetPCIBusId(text, sizeof(text), 1), cudaSuccess);
  EXPECT_EQ(cudaDeviceGetByPCIBusId(&number, text), cudaSuccess);
  EXPECT_EQ(number, 1);
}

TEST(Errors, HaveTheNumbersOfTheToolkitsHeader) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_STREQ(cudaGetErrorString(static_cast<cudaError_t>(12345)), "unrecognized error code");
  EXPECT_EQ(error_code("cudaErrorStreamCaptureImplicit"), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(error_code("cudaErrorNotSupported"), cudaErrorNotSupported);
}

TEST(Errors, WhatIsNotSupportedIsRefused) {
  cudaArray_t array = nullptr;
  cudaChannelFormatDesc description = {};
  EXPECT_EQ(cudaMallocArray(&array, &description, 4, 4, 0), cudaErrorNotSupported);
}

class DevicesDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  /// Makes `text` the machine of this process, which must not have looked at one yet.
  static void use_machine(const std::string& text) {
    const std::string path = testing::TempDir() + "gpusim-machine.yaml";
    std::ofstream(path) << text;
    setenv("GPUSIM_MACHINE", path.c_str(), 1);
  }
  [[noreturn]] static void expect(bool condition) { std::exit(condition ? 0 : 1); }
};

TEST_F(DevicesDeathTest, WithoutDevicesThereIsNoDevice) {
  EXPECT_EXIT(
      {
        use_machine("devices: []");
        int count = 7;
        const bool none = cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0;
        void* pointer = nullptr;
        expect(none && cudaMalloc(&pointer, 4) == cudaErrorNoDevice);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(DevicesDeathTest, WithoutDriverItIsInsufficient) {
  EXPECT_EXIT(
      {
        use_machine("driver_version: 0\ndevices: [{}]");
        int version = -1;
        int count = 0;
        const bool asked = cudaDriverGetVersion(&version) == cudaSuccess && version == 0;
        expect(asked && cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(DevicesDeathTest, AnInjectedFaultComesAtItsCall) {
  EXPECT_EXIT(
      {
        use_machine("devices: [{}]\nfaults: [{call: cudaMalloc, count: 2, error: 2}]");
        void* a = nullptr;
        void* b = nullptr;
        void* c = nullptr;
        const bool first = cudaMalloc(&a, 4) == cudaSuccess;
        const bool second = cudaMalloc(&b, 4) == cudaErrorMemoryAllocation;
        const bool third = cudaMalloc(&c, 4) == cudaSuccess;
        cudaFree(a);
        cudaFree(c);
        expect(first && second && third);
      },
      testing::ExitedWithCode(0), "injects cudaErrorMemoryAllocation at cudaMalloc");
}

TEST_F(DevicesDeathTest, AFaultOfAKernelStaysForEver) {
  EXPECT_EXIT(
      {
        bool skipped = true;
        enqueue_work(nullptr, "kernel that faults", {}, [] { return Fault::kIllegalAddress; });
        run_in(nullptr, [&] { skipped = false; });
        bool good = cudaDeviceSynchronize() == cudaErrorIllegalAddress;
        good = good && cudaGetLastError() == cudaErrorIllegalAddress;
        good = good && cudaGetLastError() == cudaErrorIllegalAddress;
        void* pointer = nullptr;
        expect(good && skipped && cudaMalloc(&pointer, 4) == cudaErrorIllegalAddress);
      },
      testing::ExitedWithCode(0), "gpusim: illegal address: kernel that faults");
}

TEST_F(DevicesDeathTest, LeaksAreReportedWhenTheProcessEnds) {
  EXPECT_EXIT(
      {
        setenv("GPUSIM_ON_PROBLEM", "exit", 1);
        device_array<int>(25);
        std::exit(0);
      },
      testing::ExitedWithCode(86), "leak: 1 blocks, 100 bytes on device 0.*cudaMalloc #1");
}

TEST_F(DevicesDeathTest, AForkedChildIsNotInitialised) {
  EXPECT_EXIT(
      {
        cudaFree(nullptr);
        if (fork() == 0) _exit(cudaFree(nullptr) == cudaErrorInitializationError ? 0 : 1);
        int status = -1;
        wait(&status);
        expect(status == 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(DevicesDeathTest, VisibleDevicesAreRenumbered) {
  EXPECT_EXIT(
      {
        setenv("CUDA_VISIBLE_DEVICES", "1", 1);
        int count = 0;
        cudaGetDeviceCount(&count);
        expect(count == 1 && current_device() == 1 && cudaSetDevice(1) == cudaErrorInvalidDevice);
      },
      testing::ExitedWithCode(0), "");
}

/// Launches are checked before anything runs: this PTX is never executed.
class Launches : public testing::Test {
 protected:
  void SetUp() override {
    const char* text = R"(.version 9.0
.target sm_80
.address_size 64
.visible .global .align 4 .b8 table[8] = {1, 2, 3, 4};
.visible .entry store(.param .u64 store_param_0, .param .u32 store_param_1) .maxntid 256, 1, 1
{
  ret;
}
)";
    ASSERT_EQ(cudaLibraryLoadData(&library_, text, nullptr, nullptr, 0, nullptr, nullptr, 0),
              cudaSuccess);
    ASSERT_EQ(cudaLibraryGetKernel(&kernel_, library_, "store"), cudaSuccess);
  }
  void TearDown() override {
    cudaLibraryUnload(library_);
    cudaGetLastError();
  }
  cudaError_t launch(dim3 grid, dim3 block, std::size_t shared = 0) {
    void* pointer = nullptr;
    unsigned number = 3;
    void* arguments[] = {&pointer, &number};
    return cudaLaunchKernel(kernel_, grid, block, arguments, shared, nullptr);
  }
  cudaLibrary_t library_ = nullptr;
  cudaKernel_t kernel_ = nullptr;
};

TEST_F(Launches, RefuseImpossibleConfigurations) {
  EXPECT_EQ(launch(dim3(0), dim3(32)), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(dim3(1), dim3(1025)), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(dim3(1, 65536), dim3(32)), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(dim3(1), dim3(1, 1, 65)), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(dim3(1), dim3(512)), cudaErrorLaunchOutOfResources) << "launch bounds";
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorLaunchOutOfResources);
}

TEST_F(Launches, LargeDynamicSharedMemoryHasToBeAskedFor) {
  EXPECT_EQ(launch(dim3(1), dim3(32), 49153), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(kernel_, cudaFuncAttributeMaxDynamicSharedMemorySize, 300000),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(kernel_, cudaFuncAttributeMaxDynamicSharedMemorySize, 100000),
            cudaSuccess);
  EXPECT_EQ(launch(dim3(1), dim3(32), 100000), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Launches, TellTheLayoutOfParametersAndVariables) {
  std::size_t offset = 0, bytes = 0;
  EXPECT_EQ(cudaFuncGetParamInfo(kernel_, 1, &offset, &bytes), cudaSuccess);
  EXPECT_EQ(offset, 8U);
  EXPECT_EQ(bytes, 4U);
  EXPECT_EQ(cudaFuncGetParamInfo(kernel_, 2, &offset, &bytes), cudaErrorInvalidValue);
  void* pointer = nullptr;
  ASSERT_EQ(cudaLibraryGetGlobal(&pointer, &bytes, library_, "table"), cudaSuccess);
  EXPECT_EQ(bytes, 8U);
  unsigned char data[8];
  EXPECT_EQ(cudaMemcpy(data, pointer, 8, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_THAT(data, testing::ElementsAre(1, 2, 3, 4, 0, 0, 0, 0));
}

TEST_F(Launches, AnUnregisteredFunctionIsRefused) {
  int nothing = 0;
  EXPECT_EQ(cudaLaunchKernel(&nothing, dim3(1), dim3(1), nullptr, 0, nullptr),
            cudaErrorInvalidDeviceFunction);
}

}  // namespace
}  // namespace gpusim::cudart
