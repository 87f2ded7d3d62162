# What `cmake --install` puts where, and the Debian packages that `cpack` makes of it:
#   hacscale         the program, which needs nothing of the rest; its manual page and completions
#   hacscale-mpi     what the program opens under mpirun
#   libhacscale0     the library
#   libhacscale-dev  its headers, for find_package(hacscale) and pkg-config (tools/examples/)
# To be made with HAC_CUDA=OFF: Debian has no package that a build with CUDA could depend on.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(rooms kernels engine data models scaling)
foreach(room ${rooms})
  list(APPEND objects $<TARGET_OBJECTS:hac_${room}>)
endforeach()
add_library(hacscale_library SHARED ${objects})
target_link_libraries(hacscale_library PRIVATE hac_scaling)
target_include_directories(hacscale_library INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/hacscale>)
target_compile_features(hacscale_library INTERFACE cxx_std_20)
set_target_properties(hacscale_library PROPERTIES OUTPUT_NAME hacscale EXPORT_NAME hacscale
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE CXX)

# Where a build with CUDA found its libraries, the installed one looks too.
set_target_properties(hacscale hacscale_library PROPERTIES
  INSTALL_RPATH_USE_LINK_PATH ${HAC_CUDA_ENABLED})

# Written by the program, which has to run for it.
if(NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR)
  set(pages ${CMAKE_BINARY_DIR}/pages)
  add_custom_command(OUTPUT ${pages}/hacscale.1 ${pages}/hacscale.bash ${pages}/_hacscale
    COMMAND hacscale_pages ${pages} DEPENDS hacscale_pages
    COMMENT "Writing the manual page and completions")
  add_custom_target(pages ALL DEPENDS ${pages}/hacscale.1)
  install(FILES ${pages}/hacscale.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
  install(FILES ${pages}/hacscale.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    RENAME hacscale COMPONENT program)
  install(FILES ${pages}/_hacscale DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions
    COMPONENT program)
endif()

install(TARGETS hacscale RUNTIME COMPONENT program)
if(TARGET hacscale_mpi)
  install(TARGETS hacscale_mpi LIBRARY DESTINATION lib/hacscale COMPONENT mpi)
  list(APPEND mpi mpi)
  if(TARGET hacscale_nccl)
    install(TARGETS hacscale_nccl LIBRARY DESTINATION lib/hacscale COMPONENT mpi)
  endif()
endif()
install(TARGETS hacscale_library EXPORT hacscale LIBRARY COMPONENT library
  NAMELINK_COMPONENT development)
# kernels/cpu, cuda, simt and device are how, not what.
install(DIRECTORY ${rooms} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hacscale COMPONENT development
  FILES_MATCHING PATTERN "*.h" PATTERN "kernels/cpu" EXCLUDE PATTERN "kernels/cuda" EXCLUDE
  PATTERN "kernels/simt" EXCLUDE PATTERN "kernels/device" EXCLUDE)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/hacscale)
install(EXPORT hacscale FILE hacscaleConfig.cmake NAMESPACE hacscale:: DESTINATION ${package}
  COMPONENT development)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/hacscaleConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig/x" /)  # without a slash at its end
string(REGEX REPLACE "/\\.\\./$" "" up "${up}")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/hacscale.pc @ONLY CONTENT
[[prefix=${pcfiledir}/@up@
Name: hacscale
Description: Trains convolutional networks and scales them to a device
Version: @PROJECT_VERSION@
Libs: -L${prefix}/@CMAKE_INSTALL_LIBDIR@ -lhacscale
Cflags: -I${prefix}/@CMAKE_INSTALL_INCLUDEDIR@/hacscale -std=c++20
]])
install(FILES ${CMAKE_BINARY_DIR}/hacscaleConfigVersion.cmake DESTINATION ${package}
  COMPONENT development)
install(FILES ${CMAKE_BINARY_DIR}/hacscale.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)

set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL program library development ${mpi})
set(CPACK_PACKAGE_CONTACT "The HACScale authors <hacscale@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Makes a convolutional network better for the device you have")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME hacscale)
set(CPACK_DEBIAN_MPI_PACKAGE_NAME hacscale-mpi)
set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "hacscale (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libhacscale${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libhacscale-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libhacscale${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # dpkg-shlibdeps (dpkg-dev) names the libraries' packages
include(CPack)
