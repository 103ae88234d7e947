# CUDA programs that run in the simulator. programs/*.cu print "ok" and exit with 0; bugs/*.cu hold
# a planted bug, whose report bugs/check.py compares with what the source says. Programs are
# compiled once, with PTX of three architectures, and run once per architecture on the machine of
# that name; bugs only for sm_90. The first lines of a source may say otherwise:
#
#   // nvcc: -rdc=true                 more options for the compiler
#   // with: other.part.cu             more sources (*.part.cu are no programs of their own)
#   // architectures: 90 100           instead of these
#   // environment: NAME=VALUE ...     for the run
#   // timeout: 60                     seconds, instead of 120
set(program_architectures 80 90 100)
file(GLOB program_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/programs/*.cuh)

# gpusim_note(FILE KEY OUT): what follows "// KEY:" at the top of a file, as a list.
function(gpusim_note file key out)
  file(STRINGS ${file} lines LIMIT_COUNT 12 REGEX "^// ${key}: ")
  set(words "")
  foreach(line ${lines})
    string(REGEX REPLACE "^// ${key}: *" "" line "${line}")
    separate_arguments(line UNIX_COMMAND "${line}")
    list(APPEND words ${line})
  endforeach()
  set(${out} "${words}" PARENT_SCOPE)
endfunction()

# gpusim_cuda_program(NAME SOURCE FLAGS...): builds the program NAME from a source with its notes;
# sets `architectures` and `program` for the caller.
function(gpusim_cuda_program name source)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  gpusim_note(${source} nvcc flags)
  gpusim_note(${source} with parts)
  gpusim_note(${source} architectures architectures)
  if(NOT architectures)
    set(architectures ${program_architectures})
  endif()
  set(targets "")
  foreach(architecture ${architectures})
    string(REGEX MATCH "^[0-9]+" number ${architecture})
    list(APPEND targets
      -gencode=arch=compute_${architecture},code=compute_${architecture})
  endforeach()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/cuda)
  set(program ${folder}/${name})
  set(objects "")
  get_filename_component(source_folder ${source} DIRECTORY)
  list(TRANSFORM parts PREPEND ${source_folder}/)
  set(lines -lineinfo)
  if("-G" IN_LIST flags)
    set(lines "")
  endif()
  foreach(file ${source} ${parts})
    get_filename_component(object ${file} NAME)
    set(object ${folder}/${name}.${object}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
      COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${CUDAToolkit_NVCC_EXECUTABLE} -c ${file} -o ${object}
        -std=c++20 -O2 ${lines} --Werror all-warnings -I${CMAKE_CURRENT_SOURCE_DIR}/programs
        -ccbin ${CMAKE_CXX_COMPILER} ${targets} ${flags} ${ARGN}
      DEPENDS ${file} ${program_headers} COMMENT "Compiling CUDA program ${name}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  list(FILTER flags INCLUDE REGEX "^-(rdc|lib|l)|^--compress")
  set(object_files ${objects})
  # NCCL need not be installed: programs that use it link with the simulated one.
  if(name MATCHES "nccl")
    list(APPEND flags -L${GPUSIM_LIBRARY_DIR} -lnccl
      -Xlinker -rpath-link=${GPUSIM_LIBRARY_DIR})
    list(APPEND objects gpusim_nccl)
  endif()
  add_custom_command(OUTPUT ${program}
    COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} -cudart shared ${targets} ${object_files} ${flags}
      -o ${program} -ccbin ${CMAKE_CXX_COMPILER}
    DEPENDS ${objects} COMMENT "Linking CUDA program ${name}" VERBATIM)
  set(programs ${programs} ${program} PARENT_SCOPE)
  set(program ${program} PARENT_SCOPE)
  set(architectures ${architectures} PARENT_SCOPE)
endfunction()

# gpusim_run(TEST SOURCE ARCHITECTURE LABEL COMMAND...): a test under the simulator.
function(gpusim_run test source architecture label)
  string(REGEX MATCH "^[0-9]+" number ${architecture})
  gpusim_note(${source} environment environment)
  gpusim_note(${source} timeout timeout)
  if(NOT timeout)
    set(timeout 120)
  endif()
  add_test(NAME ${test} COMMAND ${ARGN})
  set(machine ${CMAKE_CURRENT_SOURCE_DIR}/machines/sm_${number}.yaml)
  list(PREPEND environment LD_LIBRARY_PATH=${GPUSIM_LIBRARY_DIR} GPUSIM_MACHINE=${machine})
  set_tests_properties(${test} PROPERTIES LABELS ${label} TIMEOUT ${timeout}
    ENVIRONMENT "${environment}")
endfunction()

set(programs "")
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/programs/*.cu)
list(FILTER sources EXCLUDE REGEX "\\.part\\.cu$")
if(NOT TARGET gpusim_nccl)
  list(FILTER sources EXCLUDE REGEX "/nccl_")
endif()
foreach(source ${sources})
  get_filename_component(name ${source} NAME_WE)
  gpusim_cuda_program(${name} ${source})
  foreach(architecture ${architectures})
    gpusim_run(program.${name}.sm_${architecture} ${source} ${architecture} program ${program})
    set_tests_properties(program.${name}.sm_${architecture} PROPERTIES
      PASS_REGULAR_EXPRESSION "ok\n$" FAIL_REGULAR_EXPRESSION "gpusim: ([^n]|n[^o])")
  endforeach()
endforeach()

# Programs that depend most on order run once more under other options. With one worker that runs
# everything at the call, kernels cannot wait for the host: no `streams` there.
set(variant_deterministic GPUSIM_DETERMINISTIC=1)
set(variant_delayed "GPUSIM_DELAY=300;GPUSIM_SEED=7")
set(variant_unchecked GPUSIM_CHECKS=none)
set(variant_crowded GPUSIM_WORKERS=5)
foreach(name graphs ipc memory peer reduction scan streams variables warp)
  foreach(variant deterministic delayed unchecked crowded)
    if(name STREQUAL "streams" AND variant STREQUAL "deterministic")
      continue()
    endif()
    set(test program.${name}.${variant})
    gpusim_run(${test} ${CMAKE_CURRENT_SOURCE_DIR}/programs/${name}.cu 90 program
      ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name})
    get_test_property(${test} ENVIRONMENT environment)
    set_tests_properties(${test} PROPERTIES
      ENVIRONMENT "${environment};${variant_${variant}}"
      PASS_REGULAR_EXPRESSION "ok\n$" FAIL_REGULAR_EXPRESSION "gpusim: ([^n]|n[^o])")
  endforeach()
endforeach()

set(program_architectures 90)
# bugs/NAME.cu is compiled twice: as it is and with -DCORRECT, which must stay silent.
find_package(Python3 COMPONENTS Interpreter)
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/bugs/*.cu)
if(NOT TARGET gpusim_nccl)
  list(FILTER sources EXCLUDE REGEX "/nccl_")
endif()
foreach(source ${sources})
  if(NOT Python3_FOUND)
    break()
  endif()
  get_filename_component(name ${source} NAME_WE)
  gpusim_cuda_program(bug_${name} ${source})
  set(planted ${program})
  gpusim_cuda_program(correct_${name} ${source} -DCORRECT)
  foreach(architecture ${architectures})
    gpusim_run(bug.${name}.sm_${architecture} ${source} ${architecture} bug
      ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/bugs/check.py ${source} ${planted}
      ${program})
  endforeach()
endforeach()
add_custom_target(cuda_programs ALL DEPENDS ${programs})

# NCCL between network namespaces, which take the place of hosts: needs root, else skipped.
if(TARGET gpusim_nccl)
  gpusim_cuda_program(nccl_nodes ${CMAKE_CURRENT_SOURCE_DIR}/nodes/nccl_nodes.cu)
  add_custom_target(cuda_node_programs ALL DEPENDS ${program})
  foreach(scenario sums slow cut report)
    set(test nodes.nccl.${scenario})
    gpusim_run(${test} ${CMAKE_CURRENT_SOURCE_DIR}/nodes/nccl_nodes.cu 90 nodes
      ${CMAKE_CURRENT_SOURCE_DIR}/nodes/run.sh ${program} ${scenario})
    set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
endif()
