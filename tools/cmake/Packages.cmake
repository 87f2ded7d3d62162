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
if(HAC_TESTS)
  hac_find(GTest libgtest-dev)
endif()
if(HAC_BENCH)
  hac_find(benchmark libbenchmark-dev)
endif()

# These two come without a CMake package that works everywhere: Debian's dnnl config wants OpenCL.
function(hac_find_library target header library debian)
  find_path(${target}_INCLUDE ${header} PATH_SUFFIXES stb)
  set(found ${${target}_INCLUDE})
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  if(library)
    find_library(${target}_LIBRARY ${library})
    if(NOT ${target}_LIBRARY)
      set(found "")
    else()
      target_link_libraries(${target} INTERFACE ${${target}_LIBRARY})
    endif()
  endif()
  if(NOT found)
    set(missing "${missing}\n  ${header}: apt-get install ${debian}" PARENT_SCOPE)
  else()
    target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE})
  endif()
endfunction()

hac_find_library(hac_dnnl dnnl.hpp dnnl libdnnl-dev)
hac_find_library(hac_turbojpeg turbojpeg.h turbojpeg libturbojpeg0-dev)
hac_find_library(hac_stb stb_image.h "" libstb-dev)

if(missing)
  message(FATAL_ERROR "hacscale needs these libraries:${missing}\n"
    "tools/quickstart.sh and tools/test.sh install them all on Debian 12.")
endif()

file(STRINGS ${hac_dnnl_INCLUDE}/oneapi/dnnl/dnnl_version.h version_lines
  REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH)")
string(REGEX REPLACE "[^0-9;]" "" version_numbers "${version_lines}")
list(JOIN version_numbers "." DNNL_VERSION)
