# Every library that the project uses, each with the Debian package that has it.
# Missing ones are all named in one message.
set(missing "")

function(hac_find name debian)
  find_package(${name} QUIET ${ARGN})
  if(NOT ${name}_FOUND)
    set(missing "${missing}\n  ${name}: apt-get install ${debian}" PARENT_SCOPE)
  endif()
endfunction()

find_package(Threads REQUIRED)
hac_find(OpenMP "g++" COMPONENTS CXX)
hac_find(fmt libfmt-dev)
hac_find(nlohmann_json nlohmann-json3-dev)
hac_find(Eigen3 libeigen3-dev)
hac_find(CLI11 libcli11-dev)
hac_find(tomlplusplus libtomlplusplus-dev)
hac_find(ZLIB zlib1g-dev)
hac_find(JPEG libjpeg62-turbo-dev)
hac_find(PNG libpng-dev)
if(HAC_TESTS)
  hac_find(GTest libgtest-dev)
endif()
if(HAC_BENCH)
  hac_find(benchmark libbenchmark-dev)
endif()

# Debian's CMake package of oneDNN wants OpenCL.
find_path(hac_dnnl_INCLUDE dnnl.hpp)
find_library(hac_dnnl_LIBRARY dnnl)
if(hac_dnnl_INCLUDE AND hac_dnnl_LIBRARY)
  add_library(hac_dnnl INTERFACE IMPORTED GLOBAL)
  target_include_directories(hac_dnnl SYSTEM INTERFACE ${hac_dnnl_INCLUDE})
  target_link_libraries(hac_dnnl INTERFACE ${hac_dnnl_LIBRARY})
else()
  set(missing "${missing}\n  dnnl.hpp: apt-get install libdnnl-dev")
endif()

# Of trainings on many machines alone, in a library of its own that the program opens at run time.
set(HAC_MPI AUTO CACHE STRING "Build libhacscale_mpi.so: AUTO (where MPI is), ON or OFF")
set_property(CACHE HAC_MPI PROPERTY STRINGS AUTO ON OFF)
set(HAC_MPI_SUMMARY OFF)
if(HAC_MPI STREQUAL "ON" OR (HAC_MPI STREQUAL "AUTO" AND NOT CMAKE_CROSSCOMPILING))
  set(MPI_CXX_SKIP_MPICXX ON)
  find_package(MPI QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    set(HAC_MPI_SUMMARY ON)
  endif()
  if(HAC_MPI STREQUAL "ON" AND NOT MPI_CXX_FOUND)
    set(missing "${missing}\n  MPI (HAC_MPI=ON): apt-get install libopenmpi-dev")
  endif()
endif()

if(missing)
  message(FATAL_ERROR "hacscale needs these libraries:${missing}\n"
    "tools/quickstart.sh and tools/test.sh install them all on Debian 12.")
endif()

file(STRINGS ${hac_dnnl_INCLUDE}/oneapi/dnnl/dnnl_version.h version_lines
  REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH)")
string(REGEX REPLACE "[^0-9;]" "" version_numbers "${version_lines}")
list(JOIN version_numbers "." DNNL_VERSION)
