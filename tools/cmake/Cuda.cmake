# HAC_CUDA=AUTO|ON|OFF. Sets HAC_CUDA_ENABLED, and HAC_CUDA_SUMMARY: which way it went and why.
set(HAC_CUDA AUTO CACHE STRING "Build the CUDA part: AUTO (where nvcc and cuDNN are), ON or OFF")
set_property(CACHE HAC_CUDA PROPERTY STRINGS AUTO ON OFF)
set(HAC_CUDA_ENABLED OFF)

if(HAC_CUDA STREQUAL "OFF")
  set(HAC_CUDA_SUMMARY "no CUDA (HAC_CUDA=OFF)")
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  # Turing, Ampere, Orin, Hopper; the last one also as PTX for what comes after.
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 87-real 90 CACHE STRING "GPU architectures")
endif()
include(CheckLanguage)
check_language(CUDA)
set(reason "")
if(NOT CMAKE_CUDA_COMPILER)
  set(reason "no nvcc (hint: -DCMAKE_CUDA_COMPILER=/path/to/nvcc)")
else()
  # Asked before an older one fails on the architectures, or on C++20.
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE nvcc_says ERROR_QUIET)
  string(REGEX MATCH "release ([0-9.]+)" release "${nvcc_says}")
  if(release AND CMAKE_MATCH_1 VERSION_LESS 12)
    set(reason "expected CUDA 12 or later, found ${CMAKE_MATCH_1} (${CMAKE_CUDA_COMPILER})")
  endif()
endif()
if(NOT reason)
  enable_language(CUDA)
  find_package(CUDAToolkit QUIET)
  # Python wheels hold only libcudnn.so.9; HAC_CUDNN_ROOT names their nvidia/cudnn folder. Beside
  # it lies their cuBLAS, for a toolkit that has the compiler alone.
  set(HAC_CUDNN_ROOT "$ENV{HAC_CUDNN_ROOT}" CACHE PATH "Folder with include/cudnn.h and lib/")
  find_path(HAC_CUDNN_INCLUDE cudnn_backend.h
    HINTS ${HAC_CUDNN_ROOT}/include ${CUDAToolkit_INCLUDE_DIRS})
  find_library(HAC_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 NAMES_PER_DIR
    HINTS ${HAC_CUDNN_ROOT}/lib ${CUDAToolkit_LIBRARY_DIR})
  set(wheels ${HAC_CUDNN_ROOT}/../cu13 ${HAC_CUDNN_ROOT}/../cublas)
  find_path(HAC_CUBLAS_INCLUDE cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${wheels}
    PATH_SUFFIXES include)
  find_library(HAC_CUBLAS_LIBRARY NAMES cublasLt libcublasLt.so.13 libcublasLt.so.12 NAMES_PER_DIR
    HINTS ${CUDAToolkit_LIBRARY_DIR} ${wheels} PATH_SUFFIXES lib)
  if(NOT CUDAToolkit_FOUND OR NOT HAC_CUBLAS_INCLUDE OR NOT HAC_CUBLAS_LIBRARY)
    set(reason "no CUDA toolkit with cuBLASLt")
  elseif(NOT HAC_CUDNN_INCLUDE OR NOT HAC_CUDNN_LIBRARY)
    set(reason "no cuDNN 9 (hint: -DHAC_CUDNN_ROOT=FOLDER with include/ and lib/)")
  else()
    file(STRINGS ${HAC_CUDNN_INCLUDE}/cudnn_version.h version_lines
      REGEX "define CUDNN_(MAJOR|MINOR|PATCHLEVEL) ")
    string(REGEX REPLACE "[^0-9;]" "" version_numbers "${version_lines}")
    list(JOIN version_numbers "." HAC_CUDNN_VERSION)
    if(HAC_CUDNN_VERSION VERSION_LESS 9)
      set(reason "expected cuDNN 9 or later, found ${HAC_CUDNN_VERSION} in ${HAC_CUDNN_INCLUDE}")
    endif()
  endif()
endif()

if(reason)
  if(HAC_CUDA STREQUAL "ON")
    message(FATAL_ERROR "HAC_CUDA=ON: ${reason}")
  endif()
  set(HAC_CUDA_SUMMARY "no CUDA: ${reason}")
  return()
endif()

set(HAC_CUDA_ENABLED ON)
set(HAC_CUDA_SUMMARY "CUDA ${CMAKE_CUDA_COMPILER_VERSION}, cuDNN ${HAC_CUDNN_VERSION}, for \
${CMAKE_CUDA_ARCHITECTURES} (HAC_CUDA=${HAC_CUDA})")

add_library(hac_cuda_libraries INTERFACE)
target_include_directories(hac_cuda_libraries SYSTEM INTERFACE ${HAC_CUDNN_INCLUDE}
  ${CUDAToolkit_INCLUDE_DIRS} ${HAC_CUBLAS_INCLUDE})
# Never the driver (CUDA::cuda_driver): the program must start where there is none.
target_link_libraries(hac_cuda_libraries INTERFACE CUDA::cudart ${HAC_CUBLAS_LIBRARY}
  ${HAC_CUDNN_LIBRARY})

# Of trainings on several GPUs alone, in a library of its own that the program opens at run time.
set(HAC_NCCL AUTO CACHE STRING "Build libhacscale_nccl.so: AUTO (where NCCL is), ON or OFF")
set_property(CACHE HAC_NCCL PROPERTY STRINGS AUTO ON OFF)
set(HAC_NCCL_ENABLED OFF)
find_path(HAC_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(HAC_NCCL_LIBRARY NAMES nccl libnccl.so.2 NAMES_PER_DIR HINTS ${CUDAToolkit_LIBRARY_DIR})
if(HAC_NCCL STREQUAL "OFF")
  string(APPEND HAC_CUDA_SUMMARY ", no NCCL (HAC_NCCL=OFF)")
elseif(HAC_NCCL_INCLUDE AND HAC_NCCL_LIBRARY)
  set(HAC_NCCL_ENABLED ON)
  add_library(hac_nccl INTERFACE)
  target_include_directories(hac_nccl SYSTEM INTERFACE ${HAC_NCCL_INCLUDE})
  target_link_libraries(hac_nccl INTERFACE ${HAC_NCCL_LIBRARY} hac_cuda_libraries)
  string(APPEND HAC_CUDA_SUMMARY ", NCCL")
else()
  string(APPEND HAC_CUDA_SUMMARY ", no NCCL (apt-get install libnccl-dev)")
endif()
