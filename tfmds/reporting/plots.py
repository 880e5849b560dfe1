"""The picture of an evaluation: ROC, score distributions, confusion matrix."""

import io

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfmds.evaluation import ranking
from tfmds.evaluation.evaluation import VIDEOS, Evaluation

# Told apart with any colour vision (Okabe and Ito).
REAL_COLOR = "#0072b2"
FAKE_COLOR = "#d55e00"
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def picture(evaluation: Evaluation) -> bytes:
    """Draws an evaluation as a PNG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(14, 4.8), dpi=120, layout="constrained")
        roc, distributions, confusion = figure.subplots(
            1, 3, width_ratios=(1, 1.35, 0.9)
        )
        figure.suptitle(evaluation.summary, x=0.01, ha="left")
        _draw_roc(roc, evaluation)
        _draw_distributions(distributions, evaluation)
        _draw_confusion(confusion, evaluation)
        png = io.BytesIO()
        figure.savefig(png, format="png")
    return png.getvalue()


def _draw_roc(axes: Axes, evaluation: Evaluation) -> None:
    axes.set(
        title="ROC, videos",
        xlabel="reals called fake",
        ylabel="fakes called fake",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    axes.grid(alpha=0.25)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="chance")
    auc = evaluation.estimates[f"{VIDEOS}/auc"]
    if auc.value is None:
        _say(axes, f"no ROC: {auc.reason}")
        return
    fpr, tpr = ranking.roc(ranking.rank(evaluation.sample))
    axes.plot(fpr, tpr, color="0.15", linewidth=2, label=f"AUC {auc}")
    if evaluation.threshold is not None:
        axes.plot(
            [evaluation.estimates[f"{VIDEOS}/false_positive_rate"].value],
            [evaluation.estimates[f"{VIDEOS}/recall"].value],
            "o",
            markersize=9,
            color=FAKE_COLOR,
            markeredgecolor="white",
            label="at the threshold",
            clip_on=False,
            zorder=3,
        )
    axes.legend(loc="lower right")


def _draw_distributions(axes: Axes, evaluation: Evaluation) -> None:
    axes.set(title="Score distributions", xlabel="MDS", ylabel="share of the class")
    sample = evaluation.sample
    finite = np.isfinite(sample.score)
    if not finite.any():
        _say(axes, "no scores")
        return
    edges = np.histogram_bin_edges(sample.score[finite], _num_bins(finite.sum()))
    for name, mask, color in (
        ("real", ~sample.fake & finite, REAL_COLOR),
        ("fake", sample.fake & finite, FAKE_COLOR),
    ):
        score = sample.score[mask]
        if len(score):
            share = np.full(len(score), 1 / len(score))
            style = {"bins": edges, "weights": share, "color": color}
            axes.hist(score, alpha=0.45, label=f"{len(score)} {name}", **style)
            axes.hist(score, histtype="step", linewidth=1.5, **style)
    if evaluation.threshold is not None:
        value = evaluation.threshold.value
        axes.axvline(
            value, color="0.15", linestyle="--", label=f"threshold {value:.3g}"
        )
    axes.grid(axis="y", alpha=0.25)
    axes.legend()


def _draw_confusion(axes: Axes, evaluation: Evaluation) -> None:
    axes.set_title("Verdicts")
    if evaluation.threshold is None:
        axes.set_axis_off()
        _say(axes, "no threshold was given")
        return
    counts = np.array(
        [
            [
                evaluation.estimates[f"{VIDEOS}/{row}s_called_{column}"].value
                for column in ("real", "fake")
            ]
            for row in ("real", "fake")
        ]
    )
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks([0, 1], ["called real", "called fake"])
    axes.set_yticks([0, 1], ["is real", "is fake"], rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), count in np.ndenumerate(counts):
        axes.text(
            column,
            row,
            f"{count:.0f}\n{share[row, column]:.0%}",
            ha="center",
            va="center",
            fontsize=14,
            color="white" if share[row, column] > 0.5 else "black",
        )


def _num_bins(count: int) -> int:
    return int(np.clip(np.sqrt(count) * 2, 10, 60))


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", wrap=True, transform=axes.transAxes)
