#pragma once
// What older versions of cuDNN 9 lack, in one place: no other file asks for the version. JetPack 6
// has cuDNN 9.3.

#include <cudnn.h>

#include <optional>

namespace hac::cuda {

static_assert(CUDNN_VERSION >= 90000, "expected cuDNN 9 or later");

// Plans are made for device properties from 9.8 on, before that for the GPU of a handle. The
// numbers are those of later headers; an older library refuses them.
#if CUDNN_VERSION >= 90800
inline constexpr bool has_device_properties = true;
#else
inline constexpr bool has_device_properties = false;
inline constexpr auto CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR =
    static_cast<cudnnBackendDescriptorType_t>(38);
inline constexpr auto CUDNN_ATTR_ENGINEHEUR_DEVICEPROP =
    static_cast<cudnnBackendAttributeName_t>(204);
inline constexpr auto CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP =
    static_cast<cudnnBackendAttributeName_t>(407);
inline constexpr auto CUDNN_ATTR_ENGINE_DEVICEPROP = static_cast<cudnnBackendAttributeName_t>(1307);
inline constexpr auto CUDNN_ATTR_DEVICEPROP_DEVICE_ID =
    static_cast<cudnnBackendAttributeName_t>(2700);
inline constexpr auto CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION =
    static_cast<cudnnBackendAttributeName_t>(2702);
#endif

// Of engines that call cuBLAS: none has it before 9.15.
#if CUDNN_VERSION >= 91500
inline constexpr std::optional<cudnnBackendBehaviorNote_t> cublas_note =
    CUDNN_BEHAVIOR_NOTE_CUBLASLT_DEPENDENCY;
#else
inline constexpr std::optional<cudnnBackendBehaviorNote_t> cublas_note;
#endif

}  // namespace hac::cuda
