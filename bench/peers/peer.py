#!/usr/bin/env python3
"""One peer of compare_peers.py, in the protocol of bench_peer.cpp: a line of who it is, a line of
what it computes, then for each number N on its input a line of N times in milliseconds.

usage: peer.py PEER JSON      PEER is one of PEERS, below
       peer.py prepare JSON   writes the weights, images and models that all of them read
"""
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

# Libraries print what they like; only this end of the standard output speaks the protocol.
SPEAKER = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(what):
    print(json.dumps(what), file=SPEAKER, flush=True)


def introduce(name):
    say({"name": name, "resident": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss})


def answer(values, call):
    say({"values": values})
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
        say(times)


def model_file(case, suffix):
    return str(Path(case["tensors"]).with_suffix(suffix))


# ---- PyTorch

def training_step(net, images, labels, lr, bf16=False, compiled=False):
    import torch
    sgd = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, fused=True)

    def loss_of(x):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return torch.nn.functional.cross_entropy(net(x), labels)

    if compiled:
        loss_of = torch.compile(loss_of)

    def step():
        sgd.zero_grad(set_to_none=True)
        loss = loss_of(images)
        loss.backward()
        sgd.step()
        return loss.item()

    return step


def torch_peer(case, layout="nchw", compiled=False):
    import torch
    from safetensors.torch import load_file
    from networks import build
    torch.set_num_threads(case["threads"])
    introduce(f"PyTorch {torch.__version__}")
    bf16 = case["dtype"] == "bf16"
    layout = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    tensors = load_file(case["tensors"])
    images, labels = tensors.pop("images").to(memory_format=layout), tensors.pop("labels").long()
    net = build(case["network"], case["width"])
    net.load_state_dict(tensors, strict=False)
    net = net.to(memory_format=layout)
    if case["train"]:
        step = training_step(net.train(), images, labels, case["lr"], bf16, compiled)
        return answer([step(), step()], step)
    net.eval()
    if bf16:
        net, images = net.bfloat16(), images.bfloat16()
    if compiled:
        import torch._inductor.config
        torch._inductor.config.freezing = True  # weights folded and packed once, as elsewhere
        net = torch.compile(net)
    with torch.no_grad():
        answer(net(images).float().flatten().tolist(), lambda: net(images))


# ---- The inference engines, from the model that PyTorch exported

def images_of(case):
    from safetensors.numpy import load_file
    return load_file(case["tensors"])["images"]


def onnxruntime_peer(case):
    import onnxruntime as ort
    if case["dtype"] != "f32":
        sys.exit("no bf16 convolutions in its CPU provider")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = case["threads"], 1
    introduce(f"ONNX Runtime {ort.__version__}")
    session = ort.InferenceSession(model_file(case, ".onnx"), options, ["CPUExecutionProvider"])
    feed = {"images": images_of(case)}
    answer(session.run(None, feed)[0].flatten().tolist(), lambda: session.run(None, feed))


def openvino_peer(case):
    import openvino as ov
    introduce(f"OpenVINO {ov.__version__.split('-')[0]}")
    compiled = ov.Core().compile_model(model_file(case, ".onnx"), "CPU", {
        "INFERENCE_PRECISION_HINT": case["dtype"], "INFERENCE_NUM_THREADS": case["threads"],
        "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1})
    request, images = compiled.create_infer_request(), ov.Tensor(images_of(case))
    request.set_input_tensor(images)
    request.infer()
    values = request.get_output_tensor().data.flatten().tolist()
    kernels = {op.get_rt_info()["primitiveType"].astype(str)
               for op in compiled.get_runtime_model().get_ops()
               if op.get_rt_info()["layerType"].astype(str) == "Convolution"}
    print(f"convolutions by {', '.join(sorted(kernels))}")
    answer(values, request.infer)


def ncnn_peer(case):
    import ncnn
    import numpy
    introduce(f"ncnn {ncnn.__version__}")
    net = ncnn.Net()
    bf16 = case["dtype"] == "bf16"
    net.opt.num_threads = case["threads"]
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_packed = net.opt.use_bf16_storage = bf16
    if (net.load_param(model_file(case, ".ncnn.param"))
            or net.load_model(model_file(case, ".ncnn.bin"))):
        sys.exit("does not read the converted model")
    image = images_of(case)[0]  # a Mat does not keep the array that it is made of
    images = ncnn.Mat(image)

    def run():
        extractor = net.create_extractor()
        extractor.input("in0", images)
        return numpy.array(extractor.extract("out0")[1])  # which goes with its extractor

    answer(run().tolist(), run)


# ---- What all of them read

def prepare(case):
    """The reference's answer is computed in double precision, and written last."""
    import torch
    from safetensors.torch import save_file
    from networks import initialised
    net, pixels = initialised(case["network"], case["width"])
    images = torch.randn(case["batch"], 3, pixels, pixels)
    labels = (torch.arange(case["batch"]) % 10).int()
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(state | {"images": images, "labels": labels}, case["tensors"])
    if not case["train"]:
        net.eval()
        torch.onnx.export(net, (images,), model_file(case, ".onnx"), input_names=["images"],
                          output_names=["logits"], dynamo=False)
        torch.jit.trace(net, images).save(model_file(case, ".pt"))
        pnnx = Path(sys.executable).parent / "pnnx"
        if pnnx.exists():
            shape = ",".join(map(str, images.shape))
            subprocess.run([pnnx, model_file(case, ".pt"), f"inputshape=[{shape}]", "fp16=0"],
                           check=True)
        with torch.no_grad():
            values = net.double()(images.double()).flatten().tolist()
    else:
        step = training_step(net.double().train(), images.double(), labels.long(), case["lr"])
        values = [step(), step()]
    Path(model_file(case, ".json")).write_text(json.dumps(values))


PEERS = {
    "prepare": prepare,
    "torch-nchw": torch_peer,
    "torch-nhwc": lambda case: torch_peer(case, "nhwc"),
    "torch-compile": lambda case: torch_peer(case, "nhwc", compiled=True),
    "onnxruntime": onnxruntime_peer,
    "openvino": openvino_peer,
    "ncnn": ncnn_peer,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](json.loads(sys.argv[2]))
