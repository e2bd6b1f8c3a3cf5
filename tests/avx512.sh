#!/usr/bin/env bash
# Runs tests on an emulated processor with AVX-512, for machines that have none: Linux under Bochs, with the release test
# executables in its initial file system. Fails if a test fails, if none matches, or if the guest lacks AVX-512.
#
#   tests/avx512.sh                                        what "default" below lists
#   tests/avx512.sh 'conformance cpu_avx512::transfer'...  executables, each with a filter of its tests
#
#   BOCHS            emulator, 2.7 or later with --enable-evex; default: bochs. Debian's has a debugger compiled in and
#                    boots in three times the time of a build with --enable-all-optimizations and without a debugger.
#   DISPLAY_LIBRARY  a display that it was built with, term (default) or nogui; nothing is shown.
#   KERNEL           a Linux image with a built-in serial port; default: Debian's cloud kernel, fetched with apt-get.
#   MINUTES          limit for the whole run; default: 240.
set -euo pipefail
cd "$(dirname "$0")/.."

default=('fhe_core cpu::tests::kernels' 'conformance cpu_avx512::' 'conformance cpu_avx512_vnni::switched')
bochs=${BOCHS:-bochs}
work=target/avx512
kernel=${KERNEL:-$work/vmlinuz}
isolinux=/usr/lib/ISOLINUX/isolinux.bin
ldlinux=/usr/lib/syslinux/modules/bios/ldlinux.c32
bios=/usr/share/bochs/BIOS-bochs-latest
vgabios=/usr/share/vgabios/vgabios.bin

fail() { echo "avx512: $*" >&2; exit 1; }
need() { command -v "$1" > /dev/null || fail "$1 is missing (Debian: apt-get install $2)"; }
need_file() { [[ -e $1 ]] || fail "$1 is missing (Debian: apt-get install $2)"; }
need "$bochs" 'bochs bochs-term'
need_file $bios bochsbios
need_file $vgabios vgabios
need_file $isolinux isolinux
need_file $ldlinux syslinux-common
need xorriso xorriso
need cpio cpio
need script bsdutils
need busybox busybox-static
if ldd "$(command -v busybox)" > /dev/null 2>&1; then fail 'busybox is not static (Debian: apt-get install busybox-static)'; fi
# Bochs reports its help on both streams.
help() { "$bochs" --help "$@" 2>&1 || true; }
[[ $(help cpu) == *corei7_icelake_u* ]] || fail "$bochs was built without AVX-512 (configure --enable-evex)"

rm -rf "$work/root" "$work/iso"
mkdir -p "$work"/root/{bin,dev,proc,tmp} "$work/iso"
if [[ ! -e $kernel ]]; then
    [[ -z ${KERNEL:-} ]] || fail "$KERNEL does not exist"
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ {print $2; exit}')
    (cd "$work" && apt-get download "$package" && dpkg-deb --fsys-tarfile "$package"_*.deb | tar x ./boot) ||
        fail 'no kernel: set KERNEL to a bzImage'
    mv "$work"/boot/vmlinuz-* "$kernel"
    rm -rf target/avx512/boot target/avx512/*.deb
fi

# The executables, with the libraries that they are linked to.
[[ $# -gt 0 ]] || set -- "${default[@]}"
built=$(cargo test --release --no-run 2>&1) || { echo "$built"; exit 1; }
root=$work/root
cp "$(command -v busybox)" "$root/bin/busybox"
for line in "$@"; do
    name=${line%% *}
    file=$(sed -n "s|.*(\(.*/$name-[0-9a-f]*\))\$|\1|p" <<< "$built" | head -n 1)
    [[ -n $file ]] || fail "there is no test executable $name"
    strip --strip-debug -o "$root/bin/$name" "$file"
    for library in $(ldd "$file" | grep -o '/[^ ]*'); do
        [[ -e $root$library ]] || install -D "$library" "$root$library"
    done
    echo "$line"
done > "$root/tests"

cat > "$root/init" <<'EOF'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin RUST_BACKTRACE=1 FHE_TEST_SIMD=Avx512,Avx512Vnni
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec < /dev/null > /dev/ttyS0 2>&1
grep -m 1 'model name' /proc/cpuinfo
grep -m 1 '^flags' /proc/cpuinfo
while read -r name filter; do
    echo "guest: start $name $filter"
    "$name" "$filter" --test-threads=1 --show-output
    echo "guest: status $? $name $filter"
done < /tests
echo "guest: end"
# Bochs drops what the serial port has not sent yet.
sleep 2
poweroff -f
EOF
chmod +x "$root/init"

cp "$kernel" "$work/iso/vmlinuz"
cp "$isolinux" "$ldlinux" "$work/iso/"
(cd "$root" && find . | cpio -o -H newc --quiet) > "$work/iso/initrd"
# Bochs 2.7 reports a wrong size for XSAVEC, for which Linux would turn AVX off: Linux does without XSAVEC and XSAVES.
# And the memmove of Linux 6.1 never returns where there are short fast strings (FSRM), but fast strings (ERMS) are off.
cat > "$work/iso/isolinux.cfg" <<'EOF'
default tests
label tests
    kernel /vmlinuz
    append initrd=/initrd console=ttyS0 quiet mitigations=off clearcpuid=xsavec,xsaves,fsrm
EOF
xorriso -as mkisofs -quiet -o "$work/disk.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table "$work/iso" 2> /dev/null

serial=$work/serial.txt
: > "$serial"
# Bochs logs its speed from a signal handler, and hangs if that interrupts the logging of something else: log panics only.
cat > "$work/bochsrc" <<EOF
cpu: model=corei7_icelake_u, ips=100000000, reset_on_triple_fault=0
memory: guest=2048, host=2048
romimage: file=$bios
vgaromimage: file=$vgabios
ata0: enabled=1
ata0-master: type=cdrom, path=$work/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$serial
display_library: ${DISPLAY_LIBRARY:-term}
log: $work/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
clock: sync=none
EOF
arguments=(-q -f "$work/bochsrc")
if [[ $(help) == *'-rc filename'* ]]; then
    # A Bochs with a debugger starts at its prompt.
    echo continue > "$work/debugger"
    arguments+=(-rc "$work/debugger")
fi

# The display wants a terminal. Powering off ends some versions with an error: what the guest said is what counts.
tail -n +1 -f "$serial" &
tail=$!
TERM=xterm timeout "${MINUTES:-240}m" script -qec "$(printf '%q ' "$bochs" "${arguments[@]}")" /dev/null \
    < /dev/null > "$work/terminal.txt" 2>&1 &
emulator=$!
trap 'kill $tail $emulator 2> /dev/null || true' EXIT
wait $emulator || true
sleep 1

report() { tr -d '\r' < "$serial" | grep -a "$@"; }
echo
echo "avx512: $((SECONDS / 60)) minutes, output in $serial"
for feature in avx512f avx512dq avx512bw avx512_vnni; do
    report -q -w "^flags.*$feature" || fail "the guest has no $feature, see $serial and $work/bochs.log"
done
report -e '^guest: status' -e '^test result' || true
report -q '^guest: end' || fail 'the guest did not finish'
if report -q '^skipped:.*Avx512'; then fail 'tests were skipped'; fi
[[ $(report -c '^guest: status 0 ') == "$#" ]] || fail 'a test failed'
[[ $(report -c '^test result: ok\. [1-9]') == "$#" ]] || fail 'a filter matches no test'
