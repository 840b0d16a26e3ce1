"""A step of stage 2 with output-space alignment in PyTorch, by definition, from the parameters of our networks."""

import torch
from torch.nn import functional

RUNNING = ("running_mean", "running_var")


class TorchStep:
    """The small encoder's segmenter, the auxiliary classifier and the discriminators, by the names of our parameters.

    Parameters
    ----------
    values : dict of str to dict of str to np.ndarray
        The parameters of "segmenter", "auxiliary", "D1" and "D2".
    settings : Adversarial
        The stage's settings.
    halvings : int
        Of the discriminators.
    """

    def __init__(self, values, settings, halvings):
        self.settings, self.halvings = settings, halvings
        self.params = {
            name: {key: torch.tensor(value, requires_grad=not key.endswith(RUNNING)) for key, value in one.items()}
            for name, one in values.items()
        }
        self.velocities = [(p, torch.zeros_like(p)) for name in ("segmenter", "auxiliary") for p in self.learnt(name)]
        rate, betas = settings.discriminator_learning_rate, settings.discriminator_betas
        self.adam = torch.optim.Adam([p for name in ("D1", "D2") for p in self.learnt(name)], rate, betas)

    def learnt(self, name):
        return [p for p in self.params[name].values() if p.requires_grad]

    def __call__(self, source, labels, target, iteration):
        """Update all networks once; return the losses of both classifiers and of each discriminator."""
        decay = (1 - iteration / self.settings.iterations) ** self.settings.poly_power
        self.adam.param_groups[0]["lr"] = self.settings.discriminator_learning_rate * decay
        of_source, of_target = self.scores(source), self.scores(target)
        weights = (self.settings.lambda_seg, self.settings.lambda_auxiliary)
        losses = [functional.cross_entropy(one, labels, ignore_index=255) for one in of_source]
        total = sum(weight * loss for weight, loss in zip(weights, losses))
        seen = [[one.softmax(dim=1) for one in scores] for scores in (of_source, of_target)]
        for name, weight, maps in zip(("D1", "D2"), (self.settings.lambda_1, self.settings.lambda_2), seen[1]):
            total = total + weight * functional.softplus(-self.discriminator(name, maps)).mean()
        total.backward()
        self.descend(self.settings.learning_rate * decay)
        self.adam.zero_grad()
        domains = []
        for name, one, other in zip(("D1", "D2"), *seen):
            on_source, on_target = (self.discriminator(name, maps.detach()) for maps in (one, other))
            domains.append(functional.softplus(-on_source).mean() + functional.softplus(on_target).mean())
        sum(domains).backward()
        self.adam.step()
        return [one.item() for one in (*losses, *domains)]

    @torch.no_grad()
    def descend(self, rate):
        """Step as SGD of Caffe and MXNet does, whose velocity holds the rate of its time; PyTorch's own does not."""
        for param, velocity in self.velocities:
            gradient = param.grad + self.settings.weight_decay * param
            velocity.mul_(self.settings.momentum).sub_(rate * gradient)
            param.add_(velocity)
            param.grad = None

    def discriminator(self, name, x):
        for index in range(5):
            stride = 2 if index < self.halvings else 1
            x = self.conv(name, f"layers.{2 * index}", x, stride, 1)
            x = functional.leaky_relu(x, 0.2) if index < 4 else x
        return x

    def scores(self, images):
        """Return the scores of both classifiers at the size of the images."""
        x = functional.relu(self.norm("bn1", self.conv("segmenter", "conv1", images, 2, 3)))
        maps, x = [], functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            for block, stride in ((0, 1 if stage == 1 else 2), (1, 1)):
                x = self.block(f"layer{stage}.{block}", x, stride)
            maps.append(x)
        fused = maps[3]
        for merge, (lower, rate) in enumerate(zip(maps[2::-1], (3, 6, 12)), start=1):
            upper = functional.relu(self.norm(f"merge{merge}.adapt1.0", fused))
            upper = self.conv("segmenter", f"merge{merge}.adapt1.2", upper, 1, rate, rate)
            kept = self.conv("segmenter", f"merge{merge}.adapt2", lower, 1, 0)
            fused = resized(upper, kept) + kept
        feature = functional.relu(self.norm("final.0", fused))
        main = sum(self.conv("segmenter", f"classifier.b{i}", feature, 1, r, r) for i, r in enumerate((1, 2, 4, 8), 1))
        low = sum(self.conv("auxiliary", f"b{i}", maps[2], 1, r, r) for i, r in enumerate((1, 2, 4, 8), 1))
        return resized(main, images), resized(low, images)

    def block(self, name, x, stride):
        out = functional.relu(self.norm(f"{name}.bn1", self.conv("segmenter", f"{name}.conv1", x, stride, 1)))
        out = self.norm(f"{name}.bn2", self.conv("segmenter", f"{name}.conv2", out, 1, 1))
        if f"{name}.downsample.0.weight" in self.params["segmenter"]:
            x = self.norm(f"{name}.downsample.1", self.conv("segmenter", f"{name}.downsample.0", x, stride, 0))
        return functional.relu(out + x)

    def conv(self, network, name, x, stride, padding, dilation=1):
        params = self.params[network]
        weight, bias = params[f"{name}.weight"], params.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, stride, padding, dilation)

    def norm(self, name, x):
        params = self.params["segmenter"]
        return functional.batch_norm(
            x, None, None, params[f"{name}.gamma"], params[f"{name}.beta"], training=True, eps=1e-5
        )


def resized(x, like):
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
