# Tests that are scripts: the structure of the tree, the command as users mistake it, and the
# examples in their short form.
find_program(DEBIAN_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(CLANG_FORMAT clang-format-14)

if(DEBIAN_PYTHON)
  add_test(NAME structure.arrows
    COMMAND ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/structure/check_arrows.py)
  add_test(NAME structure.arrows_check_finds_violations
    COMMAND ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/structure/check_arrows_test.py)
  set_tests_properties(structure.arrows structure.arrows_check_finds_violations
    PROPERTIES LABELS "structure" TIMEOUT 60)
endif()
if(DEBIAN_PYTHON AND TARGET ingot_cuda)
  # Not of label structure: it needs the module built.
  add_test(NAME cuda.kernels_spill_no_registers COMMAND ${DEBIAN_PYTHON}
    ${PROJECT_SOURCE_DIR}/tests/structure/check_spills.py ${PROJECT_BINARY_DIR}/ops/device/cuda)
endif()
if(CLANG_FORMAT)
  add_test(NAME structure.format COMMAND ${PROJECT_SOURCE_DIR}/tests/structure/check_format.sh)
  set_tests_properties(structure.format PROPERTIES LABELS "structure" TIMEOUT 120)
endif()

if(DEBIAN_PYTHON AND TARGET ingot)
  foreach(name errors resume saving identity bench_collectives)
    add_test(NAME launcher.${name} COMMAND ${DEBIAN_PYTHON}
      ${PROJECT_SOURCE_DIR}/tests/launcher/${name}_test.py $<TARGET_FILE:ingot>
      ${MPIEXEC_EXECUTABLE})
    set_tests_properties(launcher.${name} PROPERTIES LABELS "mpi" TIMEOUT 600 PROCESSORS 2)
  endforeach()
endif()

# Ranks that die, hang or disagree, in each transport, and a few rounds of random ones (nightly.sh
# has more).
if(DEBIAN_PYTHON AND TARGET ingot)
  foreach(transport mpi shm)
    add_test(NAME cluster.faults.${transport} COMMAND ${DEBIAN_PYTHON}
      ${PROJECT_SOURCE_DIR}/tests/cluster/faults_test.py $<TARGET_FILE:ingot> ${MPIEXEC_EXECUTABLE}
      ${transport})
  endforeach()
  add_test(NAME cluster.random_faults COMMAND ${DEBIAN_PYTHON}
    ${PROJECT_SOURCE_DIR}/tests/cluster/random_faults.py $<TARGET_FILE:ingot> ${MPIEXEC_EXECUTABLE}
    --rounds 4)
  add_test(NAME cluster.faults.2_nodes COMMAND ${PROJECT_SOURCE_DIR}/tests/cluster/with_nodes.sh 2
    ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/cluster/faults_test.py $<TARGET_FILE:ingot>
    ${MPIEXEC_EXECUTABLE} auto Faults.test_killed_before_a_collective Faults.test_stopped
    Faults.test_asked_to_end)
  set_tests_properties(cluster.faults.mpi cluster.faults.shm cluster.faults.2_nodes
    cluster.random_faults PROPERTIES LABELS "cluster" TIMEOUT 600 PROCESSORS 2 SKIP_RETURN_CODE 77)
endif()

# The same on simulated GPUs over NCCL, whose own failures only gpusim can be asked for.
if(DEBIAN_PYTHON AND TARGET ingot AND TARGET ingot_cuda)
  foreach(case Faults NcclFaults)
    add_test(NAME gpusim.nccl.${case} COMMAND ${PROJECT_SOURCE_DIR}/tests/on_gpu.sh gpusim
      ${INGOT_GPUSIM_LIBRARIES} ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/cluster/faults_test.py
      $<TARGET_FILE:ingot> ${MPIEXEC_EXECUTABLE} nccl ${case})
    set_tests_properties(gpusim.nccl.${case} PROPERTIES LABELS gpusim TIMEOUT 600 PROCESSORS 2
      SKIP_RETURN_CODE 77
      ENVIRONMENT "INGOT_CUDA_MODULE=$<TARGET_FILE:ingot_cuda>;GPUSIM_CHECKS=none")
  endforeach()
endif()

# Training over NCCL between two nodes, and links that fail; in whole, it is nightly.sh's.
if(DEBIAN_PYTHON AND TARGET ingot AND TARGET ingot_cuda)
  foreach(case Training Links BrokenLinks)
    set(checks GPUSIM_CHECKS=none)
    if(case STREQUAL Training)
      set(checks GPUSIM_CHECKS=all)
    endif()
    set(name gpusim.nodes.${case})
    set(processors 2)
    if(case STREQUAL BrokenLinks)
      set(processors 1)  # it waits most of the time
    endif()
    foreach(whole "" --full)
      set(label gpusim)
      if(whole)
        if(case STREQUAL BrokenLinks)
          continue()
        endif()
        set(name ${name}.whole)
        set(label "gpusim;nightly")
      endif()
      add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/on_gpu.sh gpusim
        ${INGOT_GPUSIM_LIBRARIES} ${PROJECT_SOURCE_DIR}/tests/cluster/with_nodes.sh --fabric 2
        ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/cluster/gpu_nodes_test.py
        $<TARGET_FILE:ingot> ${MPIEXEC_EXECUTABLE} ${whole} ${case})
      set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT 900
        PROCESSORS ${processors} SKIP_RETURN_CODE 77
        ENVIRONMENT "INGOT_CUDA_MODULE=$<TARGET_FILE:ingot_cuda>;${checks}")
    endforeach()
  endforeach()
endif()

# The command on GPUs beside the command on the CPU, and the machines it refuses.
if(DEBIAN_PYTHON AND TARGET ingot AND TARGET ingot_cuda)
  foreach(kind gpusim gpu)
    foreach(case OnGpus Refusals)
      add_test(NAME ${kind}.training.${case} COMMAND ${PROJECT_SOURCE_DIR}/tests/on_gpu.sh ${kind}
        ${INGOT_GPUSIM_LIBRARIES} ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/launcher/gpu_test.py
        $<TARGET_FILE:ingot> ${MPIEXEC_EXECUTABLE} ${kind} ${case})
      set_tests_properties(${kind}.training.${case} PROPERTIES LABELS ${kind} SKIP_RETURN_CODE 77
        TIMEOUT 900 PROCESSORS 2 ENVIRONMENT "INGOT_CUDA_MODULE=$<TARGET_FILE:ingot_cuda>")
    endforeach()
  endforeach()
endif()

# Timelines of steps, and what profilers of GPUs are told.
if(DEBIAN_PYTHON AND TARGET ingot)
  set(trace ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/launcher/trace_test.py
    $<TARGET_FILE:ingot> ${MPIEXEC_EXECUTABLE})
  add_test(NAME launcher.trace COMMAND ${trace} cpu)
  set_tests_properties(launcher.trace PROPERTIES LABELS "mpi" TIMEOUT 300 PROCESSORS 2)
  if(TARGET ingot_cuda)
    add_library(nvtx_recorder MODULE ${CMAKE_CURRENT_LIST_DIR}/launcher/nvtx_recorder.cpp)
    target_link_libraries(nvtx_recorder PRIVATE ${CMAKE_DL_LIBS})
    target_include_directories(nvtx_recorder SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    foreach(kind gpusim gpu)
      add_test(NAME ${kind}.trace COMMAND ${PROJECT_SOURCE_DIR}/tests/on_gpu.sh ${kind}
        ${INGOT_GPUSIM_LIBRARIES} ${trace} cuda $<TARGET_FILE:nvtx_recorder>)
      set_tests_properties(${kind}.trace PROPERTIES LABELS ${kind} SKIP_RETURN_CODE 77 TIMEOUT 300
        PROCESSORS 2 ENVIRONMENT
          "INGOT_TEST_GPUS=2;INGOT_CUDA_MODULE=$<TARGET_FILE:ingot_cuda>;GPUSIM_CHECKS=none")
    endforeach()
  endif()
endif()

# The bench script for GPUs, from end to end.
if(DEBIAN_PYTHON AND TARGET ingot AND TARGET ingot_cuda)
  foreach(kind gpusim gpu)
    add_test(NAME ${kind}.bench.gpu_sh COMMAND ${PROJECT_SOURCE_DIR}/tests/on_gpu.sh ${kind}
      ${INGOT_GPUSIM_LIBRARIES} ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/bench/gpu_test.py
      $<TARGET_FILE:ingot> ${kind})
    set_tests_properties(${kind}.bench.gpu_sh PROPERTIES LABELS ${kind} SKIP_RETURN_CODE 77
      TIMEOUT 300 PROCESSORS 2 ENVIRONMENT
        "INGOT_TEST_GPUS=2;INGOT_CUDA_MODULE=$<TARGET_FILE:ingot_cuda>;GPUSIM_CHECKS=none")
  endforeach()
endif()

# Ordered sums give the same bits on any number of GPUs (nightly.sh: the whole table).
if(DEBIAN_PYTHON AND TARGET ingot AND TARGET ingot_cuda)
  foreach(kind gpusim gpu)
    add_test(NAME ${kind}.identity COMMAND ${PROJECT_SOURCE_DIR}/tests/on_gpu.sh ${kind}
      ${INGOT_GPUSIM_LIBRARIES} ${DEBIAN_PYTHON}
      ${PROJECT_SOURCE_DIR}/tests/launcher/identity_test.py $<TARGET_FILE:ingot>
      ${MPIEXEC_EXECUTABLE} --device cuda)
    set_tests_properties(${kind}.identity PROPERTIES LABELS ${kind} SKIP_RETURN_CODE 77 TIMEOUT 600
      PROCESSORS 2 ENVIRONMENT "INGOT_CUDA_MODULE=$<TARGET_FILE:ingot_cuda>")
  endforeach()
endif()

# Each example with its own folder for data and runs, below the build tree.
function(ingot_example name script)
  set(runs ${PROJECT_BINARY_DIR}/example-runs/${name})
  add_test(NAME example.${name} COMMAND ${PROJECT_SOURCE_DIR}/examples/${script} --short)
  set_tests_properties(example.${name} PROPERTIES LABELS "example" TIMEOUT 300 PROCESSORS 2
    ENVIRONMENT "INGOT_BINARY=$<TARGET_FILE:ingot>;INGOT_RUNS=${runs}")
endfunction()
if(TARGET ingot)
  ingot_example(gpt-text quickstart.sh)
  ingot_example(fraud-detection fraud-detection/run.sh)
  ingot_example(custom-op custom-op/run.sh)
  if(DEBIAN_PYTHON)
    # The quickstart's loss falls to what the recorded run says.
    add_test(NAME golden.quickstart
      COMMAND ${DEBIAN_PYTHON} ${PROJECT_SOURCE_DIR}/tests/golden/short_quickstart.py
        $<TARGET_FILE:ingot> ${PROJECT_BINARY_DIR}/example-runs/golden ${INGOT_MPIRUN})
    set_tests_properties(golden.quickstart PROPERTIES LABELS "mpi" TIMEOUT 300 PROCESSORS 2)
  endif()
endif()

# Plans, and the example of one in the README.
if(DEBIAN_PYTHON AND TARGET ingot)
  add_test(NAME launcher.plan COMMAND ${DEBIAN_PYTHON}
    ${PROJECT_SOURCE_DIR}/tests/launcher/plan_test.py $<TARGET_FILE:ingot> ${MPIEXEC_EXECUTABLE}
    ${PROJECT_SOURCE_DIR})
  set_tests_properties(launcher.plan PROPERTIES LABELS "mpi" TIMEOUT 600 PROCESSORS 2)
endif()
