"""Why a public name of Keras is absent from Ranvier, differs, or behaves otherwise: what ``keras_table.py`` quotes."""

from __future__ import annotations

# Absent: (family, regular expression of the whole name) -> why. The first that fits counts.
ABSENT: list[tuple[str, str, str]] = [
    ("layers", r".*3D(Transpose)?", "volumes are out of scope: kernels exist for sequences and images"),
    ("layers", r"(Jax|Flax|TFSM)Layer|TorchModuleWrapper", "wraps another framework"),
    ("layers", r"MelSpectrogram|STFTSpectrogram", "no audio; `initializers.STFT` makes the kernels of one"),
    ("layers", r"MaxNumBoundingBoxes", "no bounding boxes"),
    ("layers", r"ReversibleEmbedding", "for large language models, which are out of scope"),
    ("optimizers", r"legacy", "Keras 2's optimizers"),
    ("callbacks", r"OrbaxCheckpoint", "Orbax is JAX's"),
    ("callbacks", r"ProgbarLogger", "`ProgressBar` is its name here, and `fit(verbose=...)` makes it"),
    ("utils", r"Config", "`types.SimpleNamespace` does as well"),
    ("utils", r"FeatureSpace", "preprocessing of tables: scikit-learn's `ColumnTransformer`"),
    ("utils", r"audio_dataset_from_directory", "no audio"),
    ("utils", r"bounding_boxes", "no bounding boxes"),
    ("utils", r"legacy", "Keras 2's configurations"),
    ("utils", r"get_source_inputs", "`Model.inputs` tells"),
    ("applications", r"[cC]onv[nN]e[xX]t.*|[eE]fficient.*|MobileNetV3.*|mobilenet_v3", "not in the course"),
    ("utils", r".*interactive_logging.*", "`fit(verbose=...)` decides; the bar knows a terminal"),
]  # fmt: skip
PLANNED = "not yet"

# Parameters that Keras has and we do not, or that differ: regular expression -> why.
PARAMETERS: list[tuple[str, str]] = [
    (r"lora_.*", "no low-rank adaptation"),
    (r"quantization_config|gptq_.*", "no quantisation"),
    (r"renorm.*", "no batch renormalisation"),
    (r"salt|oov_method", "one way to hash: CRC-32 of strings, remainders of integers"),
    (r"sparse|ragged", "arrays are dense"),
    (r"tensor|input_tensor|optional", "inputs are always new and needed"),
    (r"allow_last_axis_squeeze", "shapes are taken as they are"),
    (r"mask", "layers that change masks define `compute_mask`"),
    (r"synchronized", "one device"),
]

# Names with an equal signature that do something else on purpose.
BEHAVIOUR: list[tuple[str, str, str]] = [
    ("losses", "every loss", "computes in the predictions' dtype, so float64 stays float64; Keras casts to `floatx()` unless told otherwise"),
    ("losses", "every loss", "shapes that differ are an error that names both; Keras broadcasts some of them silently"),
    ("losses", "*Crossentropy", "probabilities straight from a softmax or sigmoid on the tape are replaced by its logits: exact where Keras clips at 1e-7"),
    ("losses", "every loss", "sample weights (N,) of losses (N, T) weigh rows; Keras broadcasts them along T"),
    ("losses", "SparseCategoricalCrossentropy", "class numbers that are fractions or out of range are an error"),
    ("losses", "CategoricalGeneralizedCrossEntropy", "takes labels (N, 1) too; Keras pairs them with every row"),
    ("losses", "Circle", "a row without a negative costs 0 and has a gradient of 0"),
    ("metrics", "every metric", "adds in float64; Keras in float32, so its long sums round"),
    ("metrics", "IoU and its kin", "fractional sample weights count as they are (Keras's integer default truncates them), and those of samples count for all their pixels"),
    ("metrics", "Precision, Recall (`top_k`)", "of equal scores the first is among the highest"),
    ("metrics", "AUC", "NaN exceeds no threshold"),
    ("metrics", "ConfusionMatrix, confusion_matrix", "Ranvier's own; Keras has none"),
    ("initializers", "every random one", "without a seed each call draws anew; Keras's repeat themselves. Other random numbers, the same laws"),
    ("initializers", "STFT", "windows by name: hann, hamming, blackman, boxcar (no SciPy); others as arrays"),
    ("constraints", "Constraint", "`get_config` gives the object's attributes unless overridden"),
    ("optimizers", "Nadam", "its state lacks the product of the momentum's weights, which follows from the number of steps"),
    ("optimizers", "ScheduleFreeAdamW", "as the paper and Keras on JAX or TensorFlow; on PyTorch Keras reads a momentum that it has overwritten"),
    ("optimizers", "LossScaleOptimizer", "scales all gradients in float32 or float64; a step that overflows is made and put back, so that it can be replayed"),
    ("optimizers", "every optimizer", "Keras on PyTorch rounds clipping norms, schedules, Adafactor and Muon to float32; here float64 stays float64"),
    ("callbacks", "BackupAndRestore", "one `.rv` file, with the epoch and the random generator's place: training ends bit for bit as if not broken off"),
    ("callbacks", "SwapEMAWeights", "keeps the weights in a copy, so that the optimizer's means stay right; swaps back after `predict` too"),
    ("callbacks", "RemoteMonitor", "needs no `requests`"),
    ("optimizers.schedules", "every schedule", "computes in float64 and gives a Python float"),
    ("utils", "to_categorical", "float32 (Keras: float64 for arrays); labels that are fractions or out of range are an error"),
    ("utils", "normalize", "`axis=0` divides along axis 0; Keras's NumPy branch takes the last axis there"),
    ("utils", "split_dataset", "gives arrays in the structure they came in, not TensorFlow or PyTorch datasets"),
    ("utils", "image_dataset_from_directory", "gives a `PyDataset` whatever `format` says; interpolation is bilinear or nearest"),
    ("utils", "text_dataset_from_directory", "gives a `PyDataset` of arrays of strings whatever `format` says"),
    ("utils", "timeseries_dataset_from_array", "gives a `PyDataset` whatever `format` says"),
    ("utils", "get_file", "a damaged or wrong file never takes the place of a right one; unpacking an archive that reaches outside is an error"),
    ("utils", "get_custom_objects", "the dictionary that `rv.saving` reads"),
    ("applications", "every network", "layer names, shapes, order and weights are Keras's; `input_tensor` must be symbolic; also `SqueezeNet` and `LeNet5`, which Keras has not"),
    ("applications", "NASNetMobile", "works; Keras refuses it on PyTorch"),
    ("applications", "preprocess_input", "leaves the array that it is given as it is"),
    ("utils", "clear_session", "only restarts automatic names: there is no other global state"),
]  # fmt: skip
