"""StyleGAN2 for medical images on TensorFlow 2 and Keras 3.

Public names load on first use: importing the package imports neither TensorFlow nor Keras,
so that the command line answers at once.
"""

import importlib
import importlib.abc
import importlib.util
import sys

from stylegan2_tf.lazy import lazy

__version__ = "0.1.0"

_HOME = {
    "Discriminator": "networks",
    "Generator": "networks",
    "TrainConfig": "config",
    "TrainStep": "step",
    "Trainer": "trainer",
    "load": "latent.sampling",
    "make_config": "config",
    "make_demo_data": "demo",
    "pack": "data",
}

__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)


class _RegisterAfterKeras(importlib.abc.MetaPathFinder):
    """Import the networks right after Keras is imported.

    `keras.saving.load_model` knows only classes that are registered already; this registers
    them after a plain `import stylegan2_tf`, without importing Keras before anyone needs it.
    Where it is our layers that import Keras, the networks, which need them, come after both.
    """

    def __init__(self):
        self._running = set()

    def find_spec(self, name, path, target=None):
        if name not in ("keras", f"{__name__}.layers"):
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)  # this may have been a mere look-up
        if spec is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module):
            self._running.add(name)
            try:
                execute(module)
            finally:
                self._running.discard(name)
            if not self._running:
                importlib.import_module(f"{__name__}.networks")

        spec.loader.exec_module = execute_and_register
        return spec


if "keras" in sys.modules:
    importlib.import_module(f"{__name__}.networks")
else:
    sys.meta_path.insert(0, _RegisterAfterKeras())
