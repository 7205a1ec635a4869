from tests.opspec import OpSpec

SPECS: list[OpSpec] = []
