// The extension module `ranvier._core`: exceptions, then each family's functions.
#include "core/error.h"
#include "ops/binding.h"

namespace ranvier {
namespace {

void bind_exceptions(py::module_& m) {
  static py::exception<DeviceError> device_error(m, "DeviceError", PyExc_RuntimeError);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const ValueError& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const TypeError& error) {
      PyErr_SetString(PyExc_TypeError, error.what());
    } catch (const OutOfMemory& error) {
      PyErr_SetString(PyExc_MemoryError, error.what());
    } catch (const DeviceError& error) {
      py::set_error(device_error, error.what());
    }
  });
}

}  // namespace
}  // namespace ranvier

PYBIND11_MODULE(_core, m) {
  using namespace ranvier;
  m.doc() = "Ranvier's C++ core: arrays, and the kernels of every op family.";
  bind_exceptions(m);
  bind_array(m);
  bind_runtime(m);
  bind_activation(m);
  bind_ceiling(m);
  bind_conv2d(m);
  bind_cuda(m);
  bind_elementwise(m);
  bind_embedding(m);
  bind_gemm(m);
  bind_group_norm(m);
  bind_image(m);
  bind_ladder(m);
  bind_loss(m);
  bind_norm(m);
  bind_optimizer(m);
  bind_pool2d(m);
  bind_random(m);
  bind_recording(m);
  bind_recurrent(m);
  bind_reduce(m);
  bind_shape(m);
  bind_simulator(m);
  bind_softmax(m);
  bind_tape(m);
}
