"""The recipe of a detector."""

import dataclasses

from spp_keras import _checks
from spp_keras.data import backgrounds
from spp_keras.recipes import fields

HEADS = ("softmax", "svm")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorRecipe:
    """Everything that decides how a detector is trained, checked when it is made.

    Args:
        task: Always `"detection"`; tells recipe files apart. Defaults to `"detection"`.
        run: Run folder of the network whose convolutions are taken and stay fixed.
        data: Folder or data set with boxes.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`, its own place.
        train_split: Split to train on. Defaults to `""`, the data's own.
        validation_split: Split to measure on. Defaults to `""`, the data's own.
        head: `"softmax"`, class probabilities and box deltas trained together; or
            `"svm"`, as in the paper: a linear SVM a class on the last hidden layer, and
            ridge regression of boxes. Defaults to `"softmax"`.
        scales: Short sides that images are scaled to. Defaults to `(688,)`, the paper's
            single scale; its five are `(480, 576, 688, 864, 1200)`.
        input_size: Image size that the network was trained on: of the scales, a RoI takes
            the one at which its area is nearest to the square of this. Defaults to 224.
        proposals: File with the proposals of all images, JSON Lines or MATLAB. Defaults
            to `""`, selective search.
        rpn: Whether to train a region proposal network, so that the detector needs no
            proposals. Defaults to `True`.
        epochs: Epochs of fine-tuning. Defaults to 12.
        learning_rate: Learning rate of fine-tuning, divided by ten after four fifths of
            the epochs. Defaults to 0.01.
        seed: Seed of weights and samples. Defaults to 0.
        orientation: `"exif"` turns images as their EXIF orientation says, `"file"` leaves
            them as their pixels lie in the file. Defaults to `"exif"`.
        background: The color behind transparent images, a name or `"#rrggbb"`. Exported models
            have the same. Defaults to `"white"`.

    Example:

    >>> DetectorRecipe(run="runs/zf5_spp", data="voc/2007", head="svm").scales
    (688,)
    """

    task: str = "detection"
    run: str = ""
    data: str = ""
    data_dir: str = ""
    train_split: str = ""
    validation_split: str = ""
    head: str = "softmax"
    scales: tuple[int, ...] = (688,)
    input_size: int = 224
    proposals: str = ""
    rpn: bool = True
    epochs: int = 12
    learning_rate: float = 0.01
    seed: int = 0
    orientation: str = "exif"
    background: str = backgrounds.WHITE

    def __post_init__(self) -> None:
        fields.standardize_fields(self)
        _checks.one_of(self.task, ("detection",), "task")
        _checks.one_of(self.head, HEADS, "head")
        _checks.one_of(self.orientation, ("exif", "file"), "orientation")
        backgrounds.parse_background(self.background)
        for name in ("input_size", "epochs"):
            _checks.at_least(getattr(self, name), 1, name)
        _checks.positive(self.learning_rate, "learning_rate")
        _checks.at_least(self.seed, 0, "seed")
        for name, description in (
            ("run", "the run folder of a network"),
            ("data", "images with boxes"),
        ):
            if not getattr(self, name):
                raise ValueError(f"`{name}` must name {description}. Received: {name}=''.")
        if not self.scales:
            raise ValueError("`scales` must have one short side or more. Received: scales=[].")
        for scale in self.scales:
            _checks.at_least(scale, 1, "scales")
