"""The paper's network in PyTorch, with the names that its public code gives weights.

Written for these tests from the architecture (see docs/fidelity.md), as an independent
second opinion: nothing here is shared with tfmds.
"""

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

# Blocks by stage, and whether they are bottlenecks.
BACKBONES = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
    "resnet101": ((3, 4, 23, 3), True),
    "resnet152": ((3, 8, 36, 3), True),
    "resnet200": ((3, 24, 36, 3), True),
}


class Reference(nn.Module):
    """Both streams, their distance, both heads."""

    def __init__(self, backbone: str = "resnet18", image_size: int = 224):
        super().__init__()
        places = math.ceil(image_size / 32)
        self.netcnnaud = _audio_convolutions()
        self.netfcaud = _dense_layers(512 * 21)
        self.netcnnlip = Resnet2d3d(*BACKBONES[backbone])
        channels = self.netcnnlip.channels
        self.netfclip = _dense_layers(channels * places * places)
        for short in ("lip", "aud"):
            setattr(self, f"final_bn_{short}", nn.BatchNorm1d(1024))
            head = nn.Sequential(nn.Dropout(0.5), nn.Linear(1024, 2))
            setattr(self, f"final_fc_{short}", head)

    def forward(self, frames, mfcc):
        """Takes uint8 `[n, 30, h, w, 3]` and float `[n, 13, 99]`."""
        like = self.netfclip[0].weight
        x = frames.permute(0, 4, 1, 2, 3).to(like) / 255
        mean = like.new_tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1, 1)
        std = like.new_tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1, 1)
        features = self.netcnnlip((x - mean) / std).mean(dim=2)
        seen = self.netfclip(features.flatten(1))
        heard = self.netfcaud(self.netcnnaud(mfcc[:, None].to(like)).flatten(1))
        return {
            "distance": torch.linalg.vector_norm(seen - heard, dim=1),
            "visual_logits": self.final_fc_lip(self.final_bn_lip(seen)),
            "audio_logits": self.final_fc_aud(self.final_bn_aud(heard)),
        }


def _audio_convolutions() -> nn.Sequential:
    # (out, kernel, padding, pool behind it)
    plan = [
        (64, (3, 3), 1, nn.MaxPool2d(1, 1)),
        (192, (3, 3), 1, nn.MaxPool2d(3, (1, 2))),
        (384, (3, 3), 1, None),
        (256, (3, 3), 1, None),
        (256, (3, 3), 1, nn.MaxPool2d(3, 2)),
        (512, (5, 4), 0, None),
    ]
    modules, before = [], 1
    for channels, kernel, padding, pool in plan:
        modules += [
            nn.Conv2d(before, channels, kernel, padding=padding),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        modules += [pool] if pool else []
        before = channels
    return nn.Sequential(*modules)


def _dense_layers(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 4096), nn.BatchNorm1d(4096), nn.ReLU(), nn.Linear(4096, 1024)
    )


def _norm(channels: int) -> nn.BatchNorm3d:
    return nn.BatchNorm3d(channels, track_running_stats=False)


class Resnet2d3d(nn.Module):
    def __init__(self, blocks, bottleneck):
        super().__init__()
        self.conv1 = nn.Conv3d(
            3, 64, (1, 7, 7), (1, 2, 2), padding=(0, 3, 3), bias=False
        )
        self.bn1 = _norm(64)
        self.channels = 64
        for stage, (channels, count) in enumerate(
            zip((64, 128, 256, 256), blocks, strict=True)
        ):
            made = []
            for index in range(count):
                stride = 2 if stage and not index else 1
                made.append(
                    Block(self.channels, channels, stage >= 2, stride, bottleneck)
                )
                self.channels = channels * (4 if bottleneck else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.layer4[-1].final_relu = False

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Block(nn.Module):
    def __init__(self, before, channels, through_time, stride, bottleneck):
        super().__init__()
        self.bottleneck = bottleneck
        self.final_relu = True
        after = channels * (4 if bottleneck else 1)
        strides = (stride if through_time else 1, stride, stride)
        size = (3, 3, 3) if through_time else (1, 3, 3)
        wide = {"padding": tuple(k // 2 for k in size), "bias": False}
        if bottleneck:
            self.conv1 = nn.Conv3d(before, channels, 1, bias=False)
            self.conv2 = nn.Conv3d(channels, channels, size, strides, **wide)
            self.conv3 = nn.Conv3d(channels, after, 1, bias=False)
            self.bn3 = _norm(after)
        else:
            self.conv1 = nn.Conv3d(before, channels, size, strides, **wide)
            self.conv2 = nn.Conv3d(channels, channels, size, **wide)
        self.bn1, self.bn2 = _norm(channels), _norm(channels)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv3d(before, after, 1, strides, bias=False), _norm(after)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(F.relu(y)))
        y = y + (x if self.downsample is None else self.downsample(x))
        return F.relu(y) if self.final_relu else y


def random_network(
    backbone: str = "resnet18", image_size: int = 224, seed: int = 0
) -> Reference:
    """In eval mode, every weight random, batch norm statistics far from 0 and 1."""
    torch.manual_seed(seed)
    net = Reference(backbone, image_size).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=0.2)
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
                if module.running_mean is not None:
                    nn.init.normal_(module.running_mean, std=0.3)
                    nn.init.uniform_(module.running_var, 0.5, 2.0)
        for module in net.modules():
            if isinstance(module, Block):
                # As after training, a block changes its input a little. Were it to
                # replace it, a hundred blocks would make rounding errors visible.
                last = module.bn3 if module.bottleneck else module.bn2
                nn.init.uniform_(last.weight, 0.1, 0.5)
    return net


def save(
    net: Reference, path, *, prefix: str = "module.", legacy: bool = False
) -> None:
    """Writes a checkpoint as the public code's train.py does, after a step of Adam."""
    net = copy.deepcopy(net)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-5)
    for parameter in net.final_fc_lip.parameters():
        parameter.grad = torch.ones_like(parameter)
    weights = copy.deepcopy(net.state_dict())
    adam.step()
    state = {f"{prefix}{key}": value for key, value in weights.items()}
    content = {
        "epoch": 48,
        "net": "resnet",
        "state_dict": state,
        # Its meter averages the last losses by NumPy.
        "least_loss": np.average([0.25, 0.75]),
        "avg_score_real": torch.tensor(0.1),
        "avg_score_fake": torch.tensor(0.9),
        "optimizer": adam.state_dict(),
        "iteration": 7,
    }
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
