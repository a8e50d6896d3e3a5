"""The rules of the house that no single module can hold by itself."""

import ast
import graphlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import pytest

import stylegan2_tf
from stylegan2_tf import layers, networks
from stylegan2_tf.networks.parts import describe

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "stylegan2_tf"
FILES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# A module or package imports only from those before it.
ORDER = ["lazy", "errors", "files", "sides", "options", "presets", "fields", "checks", "config",
         "schedule", "volumes", "data", "preparation", "layers", "networks", "precision",
         "building", "losses", "replicas", "augment", "randomness", "updates", "step", "tracking",
         "environment", "run_folder", "manifest", "checkpoint_files", "checkpoints", "archive",
         "latent", "transfer", "metrics", "plots", "animation", "artifacts", "tf_quiet", "watchdog",
         "examiner", "album", "keeper", "signals", "cluster", "team", "trainer", "verification",
         "comparison", "reproduction", "preview", "demo", "export", "model_info", "model_card",
         "cli", "__main__"]
BACKEND_FREE = ("layers", "networks", "losses")


def label(value):
    return str(value.relative_to(PACKAGE)) if isinstance(value, Path) else value.__name__


def room(file):
    """The entry of `ORDER` that `file` belongs to; "" for the package's own `__init__`."""
    first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported(file, lazily=True):
    """Dotted names that `file` imports, inside functions too unless `lazily` is off."""
    names, nodes = [], [ast.parse(file.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} line {node.lineno}: a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif lazily or not isinstance(node, ast.FunctionDef):
            nodes += ast.iter_child_nodes(node)
    return names


# -- imports


def test_every_module_has_its_place_in_the_order():
    assert {room(file) for file in FILES} - {""} == set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=label)
def test_no_module_imports_a_later_one(file):
    own = room(file)
    others = {name.split(".")[1] for name in imported(file) if name.startswith("stylegan2_tf.")}
    allowed = ORDER[:ORDER.index(own)] if own else ["lazy"]
    assert others - {own} <= set(allowed)


def test_no_two_files_need_each_other_to_load():
    known = {file.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): file
             for file in FILES}

    def target(name):
        while name and name not in known:
            if f"{name}.__init__" in known:
                return f"{name}.__init__"
            name = name.rpartition(".")[0]
        return name

    graph = {name: {target(other) for other in imported(file, lazily=False)} - {""}
             for name, file in known.items()}
    assert graph["stylegan2_tf.networks.relatives"] == {
        "stylegan2_tf.layers.__init__", "stylegan2_tf.networks.styled",
        "stylegan2_tf.networks.synthesis"}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("file", [file for file in FILES if room(file) in BACKEND_FREE], ids=label)
def test_networks_need_no_particular_backend(file):
    roots = {name.split(".")[0] for name in imported(file)}
    assert not roots & {"tensorflow", "numpy", "jax", "torch"}


def test_importing_the_package_imports_neither_tensorflow_nor_keras():
    code = ("import sys, stylegan2_tf\n"
            "assert 'Generator' in dir(stylegan2_tf)\n"
            "stylegan2_tf.make_config\n"
            "print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


@pytest.mark.parametrize("first", ["stylegan2_tf.layers", "stylegan2_tf.networks",
                                   "stylegan2_tf, keras"])
def test_models_can_be_read_whatever_is_imported_first(first):
    code = (f"import {first}\nimport keras\n"
            "print(keras.saving.get_registered_object('stylegan2_tf>Generator').__name__)")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "Generator\n", result.stderr


@pytest.mark.parametrize("name", stylegan2_tf.__all__)
def test_every_public_name_loads(name):
    assert getattr(stylegan2_tf, name).__name__ == name


def test_an_unknown_public_name_is_refused():
    with pytest.raises(AttributeError, match="'stylegan2_tf' has no attribute 'Trainr'"):
        stylegan2_tf.Trainr


# -- sizes


@pytest.mark.parametrize("file", FILES, ids=label)
def test_files_and_functions_stay_short(file):
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def test_setup_py_has_two_lines():
    lines = (ROOT / "setup.py").read_text().splitlines()
    assert [line for line in lines if line.strip() and not line.startswith("#")] == [
        "from setuptools import setup", "setup()"]


# -- one list of requirements


def test_the_environment_is_that_of_the_project():
    lines = (ROOT / "environment.yaml").read_text().splitlines()
    items = [(len(indent), item) for indent, item in
             (re.match(r"( *)- (.*)|", line).groups() for line in lines) if item]
    outer = [item for depth, item in items if depth == 2]
    inner = [item for depth, item in items if depth == 6]
    assert outer == ["conda-forge", f"python{PROJECT['requires-python']}", "pip", "pip:"]
    assert inner == [*PROJECT["dependencies"], "-e .[demo]"]


def test_make_checks_for_the_same_python():
    low, high = re.findall(r"\((3), (\d+)\)", (ROOT / "Makefile").read_text())
    assert PROJECT["requires-python"] == f">={'.'.join(low)},<{'.'.join(high)}"


def test_the_version_is_given_once_for_all():
    assert stylegan2_tf.__version__ == PROJECT["version"]


# -- layers and networks, all alike

SYNTHESIS = dict(filters=[8, 4], base_resolution=[3, 4], channels=3, convolutions=1, attention=8,
                 level=1)
TRUNK = dict(filters=[4, 8], final_resolution=[3, 4], channels=3, convolutions=1,
             spectral_norm=True, attention=8, level=1)
HEAD = dict(units=3, group_size=2, spectral_norm=True, label_dim=2)
MAPPING = dict(z_dim=6, w_dim=5, num_layers=1, label_dim=2, lr_multiplier=0.5)
# One of each, every argument different from its default.
EXAMPLES = {
    "AdaptiveInstanceNormalization": dict(),
    "EqualizedConv2D": dict(filters=3, kernel_size=1, resample="down", activation="leaky_relu",
                            use_bias=False, resample_filter=(1, 2, 1)),
    "EqualizedDense": dict(units=3, activation="leaky_relu", lr_multiplier=0.5, bias_init=1.0),
    "MinibatchStddev": dict(group_size=2),
    "ModulatedConv2D": dict(filters=3, kernel_size=1, demodulate=False, upsample=True,
                            resample_filter=(1, 2, 1)),
    "NoiseInjection": dict(lr_multiplier=0.5),
    "PixelNormalization": dict(),
    "SelfAttention2D": dict(reduction=2),
    "SpectralNormalization": dict(layer=layers.EqualizedDense(3, name="inner")),
    "AdaINConv2D": dict(filters=3, upsample=True),
    "DCGANSynthesis": SYNTHESIS,
    "Discriminator": dict(trunk=networks.ResidualTrunk(**TRUNK, name="trunk"),
                          head=networks.DiscriminatorHead(**HEAD, name="head")),
    "DiscriminatorHead": HEAD,
    "Generator": dict(mapping=networks.MappingNetwork(**MAPPING, name="mapping"),
                      synthesis=networks.StyleGANSynthesis(**SYNTHESIS, name="synthesis"),
                      classes=["AD", "NC"]),
    "LatentInput": dict(z_dim=6, label_dim=2),
    "MappingNetwork": MAPPING,
    "ResidualBlock": dict(filters=3, convolutions=1, spectral_norm=True),
    "ResidualTrunk": TRUNK,
    "StyleGANSynthesis": SYNTHESIS,
    "StyledConv2D": dict(filters=3, upsample=True),
    "SynthesisNetwork": SYNTHESIS,
    "ToImage": dict(channels=3),
    "UnstyledConv2D": dict(filters=3, upsample=True),
    "UnstyledToImage": dict(channels=3)}
KERAS_ADDS = ("activity_regularizer", "autocast")  # to a layer without a constructor
CLASSES = [value for module in (layers, networks)
           for value in map(vars(module).get, module.__all__) if inspect.isclass(value)]


def maker(cls):
    """`cls`, or the class whose constructor it inherits."""
    return next(base for base in cls.__mro__ if "__init__" in vars(base))


def arguments(cls):
    """The parameters of the constructor, without `**kwargs` for Keras."""
    if maker(cls) not in CLASSES:  # Keras' own
        return {}
    _, *parameters = inspect.signature(maker(cls).__init__).parameters.values()
    assert parameters.pop().kind == inspect.Parameter.VAR_KEYWORD
    return {parameter.name: parameter for parameter in parameters}


def plain(value):
    """`value` as it stands in a configuration: layers in their serialised form."""
    return describe(value) if isinstance(value, keras.Layer) else value


def section(cls, title):
    """The lines below `title:` in the docstring of `cls`."""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)+)", inspect.getdoc(cls) + "\n", re.MULTILINE)
    return found and found[1]


@pytest.mark.parametrize("cls", CLASSES, ids=label)
def test_docstrings_tell_arguments_and_shapes(cls):
    first, blank, *_ = inspect.getdoc(cls).split("\n")
    assert first.endswith(".") and blank == ""
    assert section(cls, "Input shape") and section(cls, "Output shape")
    documented = re.findall(r"^    (\w+):", section(cls, "Args") or "", re.MULTILINE)
    if maker(cls) is cls or maker(cls) not in CLASSES:
        assert documented == list(arguments(cls))
    else:
        assert documented == []
        assert f"Arguments as in `{maker(cls).__name__}`." in inspect.getdoc(cls)


@pytest.mark.parametrize("cls", CLASSES, ids=label)
def test_what_keras_documents_is_not_documented_again(cls):
    for name in ("__init__", "build", "call", "get_config"):
        assert getattr(vars(cls).get(name), "__doc__", None) is None


@pytest.mark.parametrize("cls", CLASSES, ids=label)
def test_configuration_is_what_the_constructor_takes(cls):
    given = EXAMPLES[cls.__name__]
    parameters = arguments(cls)
    assert list(given) == list(parameters)
    assert len(parameters) <= 7
    assert all(given[name] != parameter.default for name, parameter in parameters.items())
    layer = cls(**given, name="example")
    assert {name: getattr(layer, name) for name in parameters} == given
    config = layer.get_config()
    assert {name: config.pop(name) for name in parameters} == {
        name: plain(value) for name, value in given.items()}
    assert set(config) <= {"name", "trainable", "dtype", *KERAS_ADDS}
    again = cls.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("cls", CLASSES, ids=label)
def test_model_files_name_the_class_under_this_package(cls):
    assert keras.saving.get_registered_name(cls) == f"stylegan2_tf>{cls.__name__}"
