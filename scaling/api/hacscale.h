#pragma once
// The library in one header: what a program needs to train a network, observe the importance of its
// layers, scale it to a budget and deploy it. tools/examples/ has programs that do.
//
//   data        open_data(), hold_out()                     images and labels by a set's name
//   networks    resolve(), Architecture, Model, count()     the zoo, or layers of one's own
//   training    train(), TrainConfig, load_weights()        a run folder holds the result
//   importance  ImportanceObserver, fit_laws()              Eq. 5 and 6 of the paper
//   latency     fit_latency(), device_model()               measured here, or modelled
//   scaling     method_of(), ScalingTask, Budget            Algorithm 1 and its rivals
//   deployment  InferenceSession, classify(), measure_*     batch norm folded, buffers planned
//
// Errors are hac::Error and what derives from it (kernels/core/error.h).

#include "data/sets/datasets.h"
#include "data/sets/holdout.h"
#include "engine/io/print.h"
#include "models/arch/counters.h"
#include "models/deploy/classify.h"
#include "models/deploy/inference_session.h"
#include "models/train/checkpoint.h"
#include "models/train/train.h"
#include "models/train/weights.h"
#include "models/zoo/arch_options.h"
#include "models/zoo/zoo.h"
#include "scaling/importance/importance.h"
#include "scaling/importance/law.h"
#include "scaling/latency/device_model.h"
#include "scaling/measure/measure.h"
#include "scaling/measure/network_times.h"
#include "scaling/methods/method.h"
