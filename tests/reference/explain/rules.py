"""Writes crates/explain/tests/golden/rules.safetensors: captum's maps with rules of their own backwards.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/rules.py

Networks and images by the rule of logits.py, the largest logit, in double precision, stored as f32.
`NETWORK.METHOD` is [1, C, H, W] (`cnn`: [2, 1, 28, 28]; `gradcam`, upsampled here: one channel).
The pixels' normalisation is a batch norm without scale, so that every layer is a module.

Two things are not captum's. Its DeepLift unpools with `max_unpool2d`, which keeps one of the windows
that share a place (GoogLeNet's overlap), and of a baseline of one value, whose windows are all ties,
it takes a place that rounding chose: here windows add, and ties share equally. FGVis is written here.
LRP cannot pass a shortcut of option A: here it is a convolution that copies channels.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from captum.attr import LRP, Deconvolution, DeepLift, GuidedBackprop, LayerGradCam
from captum.attr._core import deep_lift
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import EpsilonRule, GammaRule
from torch import nn

import networks
import store
from logits import filled, uniform

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/rules.safetensors"
EPSILON, GAMMA, BASELINE, TIE = 0.25, 0.25, 0.5, 1e-5


def option_a(c_in, c_out):
    copy = nn.Conv2d(c_in, c_out, 1, 2, bias=False)
    copy.weight.data.zero_()
    for i in range(c_in):
        copy.weight.data[(c_out - c_in) // 2 + i, i] = 1
    return copy


class Block(nn.Module):
    def __init__(self, block):
        super().__init__()
        first = [block.conv1, block.bn1, nn.ReLU(), block.conv2, block.bn2]
        self.way = nn.Sequential(*first)
        c_in, c_out = block.conv1.in_channels, block.conv2.out_channels
        if c_in != c_out:
            self.shortcut = option_a(c_in, c_out)
        self.add, self.relu = Addition_Module(), nn.ReLU()

    def forward(self, x):
        kept = self.shortcut(x) if hasattr(self, "shortcut") else x
        return self.relu(self.add(self.way(x), kept))


class Apart(nn.Module):
    def forward(self, x):
        return x.clone()


def pools_apart(parts):
    """Captum hooks a pool's input tensor, where the ReLU before has read its gradient already."""
    return [p for part in parts for p in ([Apart(), part] if isinstance(part, nn.MaxPool2d) else [part])]


def resnet20(net):
    stages = [nn.Sequential(*map(Block, layer)) for layer in (net.layer1, net.layer2, net.layer3)]
    parts = [net.conv1, net.bn1, nn.ReLU(), *stages, nn.AvgPool2d(8), nn.Flatten(), net.linear]
    return parts, {"gradcam": stages[2], "gradcam-layer2": stages[1]}


def vgg16(net):
    features = list(net.features)
    return [*pools_apart(features), nn.Flatten(), net.classifier], {"gradcam": features[-2]}


def googlenet(net):
    pool = lambda: nn.MaxPool2d(3, 2, 1)
    for block in net.children():
        if isinstance(block, networks.Inception):
            block.b4 = nn.Sequential(*pools_apart(block.b4))
    fours = [net.a4, net.b4, net.c4, net.d4, net.e4]
    blocks = [net.a3, net.b3, pool(), *fours, pool(), net.a5, net.b5]
    return [net.pre_layers, *pools_apart(blocks), nn.AvgPool2d(8), nn.Flatten(), net.linear], {"gradcam": net.b5}


def cnn(net):
    last = nn.ReLU()
    parts = [net.conv1, nn.ReLU(), nn.MaxPool2d(2), net.conv2, last, nn.MaxPool2d(2)]
    return [*pools_apart(parts), nn.Flatten(), net.fc1, nn.ReLU(), net.fc2], {"gradcam": last}


def normaliser(mean, std):
    norm = nn.BatchNorm2d(len(mean), eps=1e-12, affine=False)
    norm.running_mean, norm.running_var = torch.tensor(mean), torch.tensor(std).double() ** 2 - norm.eps
    return norm


def pool_rule(module, inputs, outputs, grad_input, grad_output, eps=1e-10):
    (x, b), (y, y_b), g = inputs.chunk(2), outputs.chunk(2), grad_output.chunk(2)[0]
    size = (module.kernel_size, module.stride, module.padding)
    at = F.max_pool2d(x, *size, return_indices=True)[1].flatten(2)
    most = torch.max(y, y_b)
    shares = torch.zeros_like(x.flatten(2)).scatter_add(2, at, (g * (most - y_b)).flatten(2))
    shares = shares.reshape(x.shape)
    kernel, stride, padding = size
    padded = F.pad(b, [padding] * 4, value=float("-inf"))
    falls, padded_shares = g * (y - most), F.pad(shares, [padding] * 4)
    for c in range(y.shape[1]):
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                fall, top, left = falls[0, c, i, j], i * stride, j * stride
                if fall != 0:
                    window = (0, c, slice(top, top + kernel), slice(left, left + kernel))
                    held = y_b[0, c, i, j] - padded[window] <= TIE * (1 + y_b[0, c, i, j].abs())
                    padded_shares[window] += held * fall / held.sum()
    height, width = x.shape[2:]
    shares, run = padded_shares[..., padding : padding + height, padding : padding + width], x - b
    rule = torch.where(run.abs() < eps, grad_input.chunk(2)[0], shares / run)
    return torch.cat([rule, rule])


def check_pool_rule():
    """Where windows are apart and nothing ties, the rule above is captum's."""
    parts, _ = cnn(filled(networks.Cnn))
    model = nn.Sequential(*parts).double()
    x, baseline = torch.from_numpy(uniform("images", 2 * 28 * 28)).reshape(2, 1, 1, 28, 28)
    explain = lambda: DeepLift(model).attribute(x, baseline, target=3)
    ours = explain()
    deep_lift.SUPPORTED_NON_LINEAR[nn.MaxPool2d] = deep_lift.maxpool2d
    theirs = explain()
    deep_lift.SUPPORTED_NON_LINEAR[nn.MaxPool2d] = pool_rule
    assert (ours - theirs).abs().max() < 1e-9 * theirs.abs().max()


def lrp(model, x, target, rule):
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.rule = rule()
        elif isinstance(layer, Apart):
            layer.rule = EpsilonRule()
    return LRP(FlattenFree(model)).attribute(x, target=target)


def fgvis(model, x, target, steps, defended, weight=1e-4, rate=0.1):
    """FGVis's deletion game (Wagner et al. 2019), towards black, until the class is another."""
    relus = [layer for layer in model.modules() if isinstance(layer, nn.ReLU)]
    clean = {}
    keep = [relu.register_forward_hook(lambda relu, _, y: clean.update({relu: y.detach()})) for relu in relus]
    model(x)
    [hook.remove() for hook in keep]

    def gate(relu, _, y):
        passes = (y >= clean[relu].clamp(max=0)) & (y <= clean[relu].clamp(min=0))
        return torch.where(passes, y, y.detach())

    hooks = [relu.register_forward_hook(gate) for relu in relus if defended]
    mask = torch.ones_like(x)
    for _ in range(steps):
        mask.requires_grad_()
        logits = model(x * mask)
        if logits.argmax(1) != target:
            break
        loss = logits.softmax(1)[0, target].sum() + weight * (1 - mask).abs().sum()
        (g,) = torch.autograd.grad(loss, mask)
        mask = (mask.detach() - rate * g / g.abs().max()).clamp(0, 1)
    [hook.remove() for hook in hooks]
    return 1 - mask.detach()


class FlattenFree(nn.Module):
    """The same without the `nn.Flatten` that LRP does not know."""

    def __init__(self, model):
        super().__init__()
        self.parts = nn.ModuleList([part for part in model if not isinstance(part, nn.Flatten)])

    def forward(self, x):
        for part in self.parts:
            x = part(x.flatten(1) if isinstance(part, nn.Linear) else x)
        return x


def maps(name, convert, count):
    build, shape, (mean, std) = networks.NETWORKS[name]
    parts, taps = convert(filled(build))
    model = nn.Sequential(normaliser(mean, std), *parts).eval().double()
    images = torch.from_numpy(uniform("images", count * shape[0] * shape[1] * shape[2]))
    for x in images.reshape(count, 1, *shape):
        target = model(x).argmax(1)
        found = {
            "guided": GuidedBackprop(model).attribute(x, target=target),
            "deconvnet": Deconvolution(model).attribute(x, target=target),
            "deeplift": DeepLift(model).attribute(x, torch.zeros_like(x), target=target),
            "lrp": lrp(model, x, target, EpsilonRule),
        }
        for tap, layer in taps.items():
            cam = LayerGradCam(model, layer).attribute(x, target=target, relu_attributions=True)
            found[tap] = F.interpolate(cam, shape[1:], mode="bilinear", align_corners=False)
        if name == "cnn":
            baseline = torch.full_like(x, BASELINE)
            found["deeplift-baseline"] = DeepLift(model).attribute(x, baseline, target=target)
            found["lrp-epsilon"] = lrp(model, x, target, lambda: EpsilonRule(EPSILON))
        if name in ("cnn", "resnet20"):
            found["fgvis"] = fgvis(model, x, target, 12, True)
            found["fgvis-free"] = fgvis(model, x, target, 12, False)
        print(name, {method: round(a_map.sum().item(), 4) for method, a_map in found.items()})
        yield {f"{name}.{key}": a_map for key, a_map in found.items()}
    if name == "cnn":  # without biases: captum does not raise them
        for layer in model.modules():
            if getattr(layer, "bias", None) is not None:
                layer.bias.data.zero_()
        x = images.reshape(count, *shape)[:1]
        yield {"cnn.lrp-gamma": lrp(model, x, model(x).argmax(1), lambda: GammaRule(GAMMA))}


if __name__ == "__main__":
    torch.set_num_threads(1)
    deep_lift.SUPPORTED_NON_LINEAR[nn.MaxPool2d] = pool_rule
    check_pool_rule()
    arrays = {}
    for convert in [cnn, googlenet, resnet20, vgg16]:
        for found in maps(convert.__name__, convert, 2 if convert is cnn else 1):
            for key, a_map in found.items():
                arrays.setdefault(key, []).append(a_map.detach().float())
    store.write(OUT, {key: torch.cat(parts).numpy() for key, parts in arrays.items()})
