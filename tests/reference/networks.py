"""PyTorch definitions of our architectures, with the published parameter names.

Written for checking only: each as plainly as its paper's figure. The ImageNet ResNets are
torchvision's own.
"""

import torch
import torch.nn.functional as F
import torchvision
from torch import nn


class CifarBlock(nn.Module):
    """He et al. 2016, section 4.2: shortcuts of option A."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.extra = c_out - c_in

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra // 2, self.extra // 2))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    def __init__(self, blocks, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[CifarBlock(16, 16, 1) for _ in range(blocks)])
        for name, c_in in [("layer2", 16), ("layer3", 32)]:
            first = CifarBlock(c_in, 2 * c_in, 2)
            rest = [CifarBlock(2 * c_in, 2 * c_in, 1) for _ in range(blocks - 1)]
            setattr(self, name, nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(x, x.shape[-1]).flatten(1))


class Residual(nn.Module):
    """A basic block (two 3×3) or a bottleneck (1×1, 3×3, 1×1) with a projection shortcut."""

    def __init__(self, c_in, width, stride, bottleneck):
        super().__init__()
        c_out = 4 * width if bottleneck else width
        if bottleneck:
            shapes = [(c_in, width, 1, 1), (width, width, 3, stride), (width, c_out, 1, 1)]
        else:
            shapes = [(c_in, width, 3, stride), (width, c_out, 3, 1)]
        self.depth = len(shapes)
        for i, (a, b, kernel, step) in enumerate(shapes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.shortcut = nn.Sequential()
        if stride != 1 or c_in != c_out:
            projection = nn.Conv2d(c_in, c_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = F.relu(y)
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """The 32×32 variant: 3×3 stem, no max-pool."""

    def __init__(self, depths, bottleneck, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for i, depth in enumerate(depths):
            width = 64 * 2**i
            blocks = []
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                blocks.append(Residual(channels, width, stride, bottleneck))
                channels = 4 * width if bottleneck else width
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(F.avg_pool2d(x, 4).flatten(1))


def norm_relu(c_in, c_out, kernel):
    conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU()]


class Vgg16(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        layers, channels = [], 3
        for entry in "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M".split():
            if entry == "M":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += norm_relu(channels, int(entry), 3)
                channels = int(entry)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(512, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Inception(nn.Module):
    def __init__(self, c_in, one, reduce3, three, reduce5, five, pool):
        super().__init__()
        self.b1 = nn.Sequential(*norm_relu(c_in, one, 1))
        self.b2 = nn.Sequential(*norm_relu(c_in, reduce3, 1), *norm_relu(reduce3, three, 3))
        twice = [*norm_relu(reduce5, five, 3), *norm_relu(five, five, 3)]
        self.b3 = nn.Sequential(*norm_relu(c_in, reduce5, 1), *twice)
        self.b4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), *norm_relu(c_in, pool, 1))

    def forward(self, x):
        return torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1)


class GoogLeNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.pre_layers = nn.Sequential(*norm_relu(3, 192, 3))
        self.a3 = Inception(192, 64, 96, 128, 16, 32, 32)
        self.b3 = Inception(256, 128, 128, 192, 32, 96, 64)
        self.a4 = Inception(480, 192, 96, 208, 16, 48, 64)
        self.b4 = Inception(512, 160, 112, 224, 24, 64, 64)
        self.c4 = Inception(512, 128, 128, 256, 24, 64, 64)
        self.d4 = Inception(512, 112, 144, 288, 32, 64, 64)
        self.e4 = Inception(528, 256, 160, 320, 32, 128, 128)
        self.a5 = Inception(832, 256, 160, 320, 32, 128, 128)
        self.b5 = Inception(832, 384, 192, 384, 48, 128, 128)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x):
        x = self.b3(self.a3(self.pre_layers(x)))
        x = F.max_pool2d(x, 3, 2, 1)
        x = self.e4(self.d4(self.c4(self.b4(self.a4(x)))))
        x = F.max_pool2d(x, 3, 2, 1)
        x = self.b5(self.a5(x))
        return self.linear(F.avg_pool2d(x, 8).flatten(1))


class PreNorm(nn.Module):
    """x + fn(norm(x)); the published names put both inside an outer `fn`."""

    def __init__(self, width, inner):
        super().__init__()
        self.fn = nn.Module()
        self.fn.norm = nn.LayerNorm(width)
        self.fn.fn = inner

    def forward(self, x):
        return x + self.fn.fn(self.fn.norm(x))


class WindowAttention(nn.Module):
    """One window at a time, one head at a time: slow and plain."""

    def __init__(self, width, heads, shifted, window=4):
        super().__init__()
        self.heads, self.window, self.shifted = heads, window, shifted
        if shifted:
            for name, axis in [("upper_lower_mask", 0), ("left_right_mask", 1)]:
                mask = torch.zeros(window**2, window**2)
                for i in range(window**2):
                    for j in range(window**2):
                        far = [divmod(place, window)[axis] >= window // 2 for place in (i, j)]
                        if far[0] != far[1]:
                            mask[i, j] = float("-inf")
                setattr(self, name, nn.Parameter(mask, requires_grad=False))
        self.to_qkv = nn.Linear(width, 3 * 32 * heads, bias=False)
        self.pos_embedding = nn.Parameter(torch.randn(2 * window - 1, 2 * window - 1))
        self.to_out = nn.Linear(32 * heads, width)

    def bias(self):
        w = self.window
        rows = []
        for i in range(w**2):
            (yi, xi), row = divmod(i, w), []
            for j in range(w**2):
                yj, xj = divmod(j, w)
                row.append(self.pos_embedding[yj - yi + w - 1, xj - xi + w - 1])
            rows.append(torch.stack(row))
        return torch.stack(rows)

    def forward(self, x):
        w, shift, bias = self.window, self.window // 2, self.bias()
        if self.shifted:
            x = torch.roll(x, (-shift, -shift), (1, 2))
        n, height, width, _ = x.shape
        out = torch.zeros(n, height, width, 32 * self.heads, dtype=x.dtype)
        queries, keys, values = self.to_qkv(x).chunk(3, -1)
        for top in range(0, height, w):
            for left in range(0, width, w):
                mask = torch.zeros(w**2, w**2)
                if self.shifted and top == height - w:
                    mask = mask + self.upper_lower_mask
                if self.shifted and left == width - w:
                    mask = mask + self.left_right_mask
                for h in range(self.heads):
                    part = (slice(None), slice(top, top + w), slice(left, left + w), slice(32 * h, 32 * h + 32))
                    q, k, v = (t[part].reshape(n, w * w, 32) for t in (queries, keys, values))
                    scores = q @ k.transpose(1, 2) / 32**0.5 + bias + mask
                    out[part] = (scores.softmax(-1) @ v).reshape(n, w, w, 32)
        out = self.to_out(out)
        return torch.roll(out, (shift, shift), (1, 2)) if self.shifted else out


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        return self.net(x)


class SwinBlock(nn.Module):
    def __init__(self, width, heads, shifted):
        super().__init__()
        self.attention_block = PreNorm(width, WindowAttention(width, heads, shifted))
        self.mlp_block = PreNorm(width, Mlp(width))

    def forward(self, x):
        return self.mlp_block(self.attention_block(x))


class SwinStage(nn.Module):
    def __init__(self, c_in, width, pairs, heads, patch):
        super().__init__()
        self.patch_partition = nn.Module()
        self.patch_partition.linear = nn.Linear(c_in * patch**2, width)
        pair = lambda: nn.ModuleList([SwinBlock(width, heads, False), SwinBlock(width, heads, True)])
        self.layers = nn.ModuleList([pair() for _ in range(pairs)])
        self.patch = patch

    def forward(self, x):
        n, _, height, width = x.shape
        p = self.patch
        x = F.unfold(x, p, stride=p).transpose(1, 2)
        x = self.patch_partition.linear(x).reshape(n, height // p, width // p, -1)
        for regular, shifted in self.layers:
            x = shifted(regular(x))
        return x.permute(0, 3, 1, 2)


class Swin(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stage1 = SwinStage(3, 96, 1, 3, 2)
        self.stage2 = SwinStage(96, 192, 1, 6, 2)
        self.stage3 = SwinStage(192, 384, 3, 12, 2)
        self.stage4 = SwinStage(384, 768, 1, 24, 1)
        self.mlp_head = nn.Sequential(nn.LayerNorm(768), nn.Linear(768, classes))

    def forward(self, x):
        x = self.stage4(self.stage3(self.stage2(self.stage1(x))))
        return self.mlp_head(x.mean((2, 3)))


class WideBlock(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        if c_in != c_out:
            self.shortcut = nn.Conv2d(c_in, c_out, 1, stride, bias=False)

    def forward(self, x):
        active = F.relu(self.bn1(x))
        kept = self.shortcut(active) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(active)))) + kept


class WideResNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        for name, c_in, c_out, stride in [
            ("layer1", 16, 160, 1),
            ("layer2", 160, 320, 2),
            ("layer3", 320, 640, 2),
        ]:
            rest = [WideBlock(c_out, c_out, 1) for _ in range(3)]
            setattr(self, name, nn.Sequential(WideBlock(c_in, c_out, stride), *rest))
        self.bn1 = nn.BatchNorm2d(640)
        self.linear = nn.Linear(640, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(F.relu(self.bn1(x)).mean((2, 3)))


class Cnn(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.fc1 = nn.Linear(64 * 7 * 7, 1024)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(2, 10)
        self.hidden2 = nn.Linear(10, 10)
        self.linear = nn.Linear(10, 2)

    def forward(self, x):
        return self.linear(F.elu(self.hidden2(F.elu(self.hidden1(x.flatten(1))))))


def vit(width, heads):
    """transformers' ViTForImageClassification for 64x64 images, alone."""
    from transformers import ViTConfig, ViTForImageClassification

    class Logits(ViTForImageClassification):
        def forward(self, x):
            return super().forward(x).logits

    config = ViTConfig(
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        image_size=64,
        num_labels=1000,
        attn_implementation="eager",
    )
    return Logits(config)


CIFAR = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALF = ([0.5] * 3, [0.5] * 3)
GREY = ([0.0], [1.0])
TABLE = ([0.0, 0.0], [1.0, 1.0])

# name: (network, image shape, normalisation)
NETWORKS = {
    "cnn": (Cnn, (1, 28, 28), GREY),
    "googlenet": (GoogLeNet, (3, 32, 32), CIFAR),
    "mlp": (Perceptron, (2, 1, 1), TABLE),
    "resnet18": (lambda: ResNet([2, 2, 2, 2], False), (3, 32, 32), CIFAR),
    "resnet18-imagenet": (torchvision.models.resnet18, (3, 64, 64), IMAGENET),
    "resnet20": (lambda: CifarResNet(3), (3, 32, 32), IMAGENET),
    "resnet32": (lambda: CifarResNet(5), (3, 32, 32), IMAGENET),
    "resnet44": (lambda: CifarResNet(7), (3, 32, 32), IMAGENET),
    "resnet50": (lambda: ResNet([3, 4, 6, 3], True), (3, 32, 32), CIFAR),
    "resnet50-imagenet": (torchvision.models.resnet50, (3, 64, 64), IMAGENET),
    "resnet56": (lambda: CifarResNet(9), (3, 32, 32), IMAGENET),
    "swin-t": (Swin, (3, 32, 32), CIFAR),
    "vgg16": (Vgg16, (3, 32, 32), CIFAR),
    "vit-b16": (lambda: vit(768, 12), (3, 64, 64), HALF),
    "vit-s16": (lambda: vit(384, 6), (3, 64, 64), HALF),
    "vit-ti16": (lambda: vit(192, 3), (3, 64, 64), HALF),
    "wrn28-10": (WideResNet, (3, 32, 32), CIFAR),
}
