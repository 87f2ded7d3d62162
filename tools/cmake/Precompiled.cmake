# What most files include, compiled once for all targets with the same flags. No file may rely on it:
# -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON must build as well.
set(HAC_COMMON_HEADERS <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <map> <memory>
  <optional> <span> <string> <string_view> <vector> <fmt/format.h>)

# For a folder whose code runs now and then: at -O3 it would take half as long again to compile.
macro(hac_optimize_lightly)
  string(REPLACE "-O3" "-O1" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
endmacro()
