"""The kernel's own word on how well it knows UTC."""

from controller.safety.timesync import bench_time, kernel_time


def test_the_kernel_says_whether_its_clock_is_synchronised() -> None:
    quality = kernel_time()
    assert quality is not None  # Linux
    assert 0.0 <= quality.error_s < 1e4
    assert isinstance(quality.synchronised, bool)


def test_a_bench_shares_one_clock_with_its_world() -> None:
    assert bench_time().synchronised
    assert bench_time().error_s == 0.0
