"""Errors of the models.

PopreelError
└── ModelError                  a model cannot be used
    ├── ModelMissing            not installed: says which command installs it
    ├── ModelDamaged            checksum, golden output or shape is wrong
    └── NotFinite               a vector or score is NaN or infinite: refused, never stored
"""

from __future__ import annotations

from foundation.errors import PopreelError


class ModelError(PopreelError):
    code = "model"
    title = "A model cannot be used"


class ModelMissing(ModelError):
    code = "model-missing"
    title = "A model is not installed"


class ModelDamaged(ModelError):
    code = "model-damaged"
    title = "A model file is damaged or of another version"


class NotFinite(ModelError):
    code = "not-finite"
    title = "A vector or score is not finite"
