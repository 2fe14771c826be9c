"""A Debian kernel in QEMU that sees this machine's files: nothing of it is installed, nothing of it is changed.

The kernel's package is downloaded and unpacked once, below build/kernel. The root of the guest is the host's root over
9p, read-only, with a memory file system above it. KVM is never used: it may be there and not work.
"""

from __future__ import annotations

import lzma
import os
import re
import selectors
import shutil
import subprocess
from pathlib import Path

from hal.clock import NS, RealClock

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "kernel"
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "virtio_net", "virtio_rng", "overlay", "vhci_hcd", "usbtmc", "cdc_acm")
SILENCE_S = 60.0  # of a guest that has stopped
WHOLE_S = 240.0
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "$module" 2>/dev/null; done < /modules.list
mkdir -p /host /memory /root
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host
mount -t tmpfs memory /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work overlay /root
mount -t proc proc /root/proc
mount -t sysfs sysfs /root/sys
mount -t devtmpfs dev /root/dev
mount -t tmpfs run /root/run
mount -t tmpfs tmp /root/var/run 2>/dev/null
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
mkdir -p /root/run/udev/rules.d /root/run/lock
cp /root/@RULES@ /root/run/udev/rules.d/60-boresight.rules
echo GUEST booted
chroot /root /lib/systemd/systemd-udevd --daemon
chroot /root udevadm trigger
chroot /root /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=@ROOT@ HOME=/tmp LANG=C.UTF-8 @COMMAND@
echo GUEST ended
poweroff -f
"""


class KernelTestError(RuntimeError):
    """The guest cannot be made or run; the message says what is missing."""


def prepare() -> tuple[Path, Path, str]:
    """Kernel image, its unpacked package and its version; downloads and unpacks what is not there yet."""
    CACHE.mkdir(parents=True, exist_ok=True)
    unpacked = CACHE / "image"
    if not (CACHE / "vmlinux").exists():
        packages = list(CACHE.glob("linux-image-*.deb")) or [_download()]
        shutil.rmtree(unpacked, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-x", packages[0], unpacked], check=True)
        (version,) = (path.name for path in (unpacked / "lib" / "modules").iterdir())
        subprocess.run(["depmod", "-b", unpacked, version], check=True)
        partial = CACHE / "vmlinux.partial"  # so that what is there is whole
        partial.write_bytes(_uncompressed((unpacked / "boot" / f"vmlinuz-{version}").read_bytes()))
        partial.replace(CACHE / "vmlinux")
    (version,) = (path.name for path in (unpacked / "lib" / "modules").iterdir())
    return CACHE / "vmlinux", unpacked, version


def _download() -> Path:
    """The Debian package of the newest kernel of this release."""
    told = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=False)
    names = re.findall(r"Depends: (linux-image-\S+)", told.stdout)
    if not names:
        raise KernelTestError("apt knows no linux-image-amd64; run apt-get update on a Debian with amd64 packages")
    done = subprocess.run(["apt-get", "download", names[0]], cwd=CACHE, capture_output=True, text=True, check=False)
    found = list(CACHE.glob("linux-image-*.deb"))
    if done.returncode or not found:
        raise KernelTestError(f"the package {names[0]} cannot be downloaded: {done.stderr.strip()}")
    return found[0]


def _uncompressed(vmlinuz: bytes) -> bytes:
    """The ELF image in a bzImage: QEMU starts it directly, which saves decompression by an emulated processor."""
    start = vmlinuz.index(b"\xfd7zXZ\x00")
    return lzma.LZMADecompressor().decompress(vmlinuz[start:])


def initramfs(unpacked: Path, version: str, command: str) -> Path:
    """A first root of busybox, the modules that are needed, and a script that hands over to `command`."""
    root = CACHE / "initramfs"
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "proc", "sys", "dev", "modules"):
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for applet in ("sh", "mount", "mkdir", "insmod", "ip", "cp", "echo", "chroot", "poweroff"):
        (root / "bin" / applet).symlink_to("busybox")
    modules: list[str] = []
    for module in MODULES:
        told = subprocess.run(
            ["modprobe", "-d", unpacked, "-S", version, "--show-depends", module],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        for line in told.stdout.splitlines():
            path = Path(line.removeprefix("insmod").split()[0])
            if line.startswith("insmod") and path.name not in modules:
                modules.append(path.name)
                shutil.copy(path, root / "modules" / path.name)
    (root / "modules.list").write_text("".join(f"/modules/{name}\n" for name in modules))
    script = INIT.replace("@ROOT@", str(ROOT)).replace("@COMMAND@", command)
    init = root / "init"
    init.write_text(script.replace("@RULES@", str(ROOT / "udev" / "60-boresight.rules").lstrip("/")))
    init.chmod(0o755)
    packed = CACHE / "initramfs.cpio"
    names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    with packed.open("wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names, stdout=file, check=True)
    return packed


def boot(kernel: Path, packed: Path) -> list[str]:
    """Run the guest to its end; its console, line by line. Raises KernelTestError when it stands still."""
    command = [
        "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-cpu", "max", "-m", "768", "-smp", "1", "-nodefaults",
        "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel),
        "-initrd", str(packed), "-append", "console=ttyS0 panic=-1 quiet mitigations=off",
        "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
        "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci",
    ]  # fmt: skip
    clock = RealClock()
    begun_ns = heard_ns = clock.now_ns()
    told = bytearray()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        if guest.stdout is None:
            raise KernelTestError("QEMU has no console")
        console = selectors.DefaultSelector()
        console.register(guest.stdout, selectors.EVENT_READ)
        while True:
            if console.select(1.0):
                data = os.read(guest.stdout.fileno(), 65_536)
                if not data:
                    break
                told += data
                heard_ns = clock.now_ns()
            silent_s, whole_s = ((clock.now_ns() - since_ns) / NS for since_ns in (heard_ns, begun_ns))
            if silent_s > SILENCE_S or whole_s > WHOLE_S:
                guest.kill()
                last = told.decode(errors="replace").splitlines()[-15:]
                raise KernelTestError(
                    f"the guest stands still after {whole_s:.0f} s; its last words:\n" + "\n".join(last)
                )
    return told.decode(errors="replace").splitlines()
