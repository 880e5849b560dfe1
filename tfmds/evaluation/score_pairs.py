"""Two tables of scores that are held against each other."""

from collections.abc import Sequence

from etils import epath

from tfmds.common.errors import InputError
from tfmds.evaluation import score_files, scores, thresholds


def read(
    first: str, second: str
) -> tuple[scores.VideoScores, scores.VideoScores, list[str]]:
    """Reads both; one may be another detector's, labelled by the other.

    Returns:
      Both, and what is to be known of how they were read.

    Raises:
      InputError: One cannot be read, or neither says what the videos are.
    """
    foreign = [score_files.is_foreign(path) for path in (first, second)]
    if all(foreign):
        raise InputError(
            f"neither {first} nor {second} says what the"
            " videos are; one of them must be a scores.csv of tfmds.evaluate"
        )
    if foreign[0]:
        known = score_files.read_videos(second)
        found, matches = score_files.read_foreign(first, known)
        return found, known, matches.notes_on(first, second)
    known = score_files.read_videos(first)
    if foreign[1]:
        found, matches = score_files.read_foreign(second, known)
        return known, found, matches.notes_on(second, first)
    return known, score_files.read_videos(second), []


def check_scores(names: Sequence[str]) -> None:
    """Raises InputError where --score is not one or two of `scores.SCORES`."""
    if not set(names) <= set(scores.SCORES) or len(names) not in (1, 2):
        raise InputError(
            f"--score is {','.join(names)}, expected one or two of"
            f" {', '.join(scores.SCORES)}"
        )


def read_thresholds(
    paths: Sequence[str], judged_by: Sequence[str]
) -> list[thresholds.Threshold]:
    """The thresholds of two tables, none where no files are named.

    Args:
      paths: Their files.
      judged_by: The scores that the user names, one for both or two, or none.

    Raises:
      InputError: One cannot be read, or is one of another score.
    """
    found = [thresholds.read(path) for path in paths]
    if judged_by:
        for threshold, score in zip(found, (judged_by[0], judged_by[-1]), strict=False):
            threshold.check_score(score)
    return found


def completed(
    pair: tuple[scores.VideoScores, scores.VideoScores],
    chosen: Sequence[thresholds.Threshold],
    paths: Sequence[str],
) -> tuple[scores.VideoScores, scores.VideoScores]:
    """Both tables with the scores that their thresholds make of others.

    Raises:
      InputError: One lacks these others; names its path.
    """
    first, second = pair
    if chosen:
        first = chosen[0].completed(first, paths[0])
        second = chosen[1].completed(second, paths[1])
    return first, second


def names(first: str, second: str) -> tuple[str, str]:
    """File or folder names that tell the two paths apart, else the whole paths."""
    one, other = _name(epath.Path(first)), _name(epath.Path(second))
    return (one, other) if one and other and one != other else (first, second)


def _name(path: epath.Path) -> str:
    return path.parent.name if path.name == score_files.VIDEOS_FILE else path.stem
