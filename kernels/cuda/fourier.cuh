// The transform of blind rotation: 1024 complex points as 32 x 32, one pass of five levels in registers on each side of
// one transpose.
//
// The tree of `key_transform.cu`: node (level d, index i) of half-turn t has the twiddle w = e^{i pi t / 2}; its children
// have half-turns t/2 and t/2 + 1, so the twiddle of an odd node is i times that of its even sibling. The root is t = 1/2.
//
//     levels 0..4   registers hold the 32 coefficients j = 32 q + l of a lane l: twiddles are constants
//     transpose     node m of level 5 goes to one lane
//     levels 5..9   registers hold the 32 coefficients of that node: twiddles depend on the lane, 16 complex numbers
//
// Forward butterflies take 6 fused operations: a + w b, then 2 a - (a + w b). Inverse ones take 8; in the constant pass
// 6, because the factor cos or sin of each twiddle is left out and multiplied into the last conversion.
#pragma once
#include "device.cuh"

constexpr int POINTS = 32;  // of a pass

/// cos(pi i / 64) for i in 0..=32.
DEVICE constexpr double cosine(int i) {
    switch (i) {
        case 0: return 1.0;
        case 1: return 0x1.ff621e3796d7ep-1;
        case 2: return 0x1.fd88da3d12526p-1;
        case 3: return 0x1.fa7557f08a517p-1;
        case 4: return 0x1.f6297cff75cb0p-1;
        case 5: return 0x1.f0a7efb9230d7p-1;
        case 6: return 0x1.e9f4156c62ddap-1;
        case 7: return 0x1.e212104f686e5p-1;
        case 8: return 0x1.d906bcf328d46p-1;
        case 9: return 0x1.ced7af43cc773p-1;
        case 10: return 0x1.c38b2f180bdb1p-1;
        case 11: return 0x1.b728345196e3ep-1;
        case 12: return 0x1.a9b66290ea1a3p-1;
        case 13: return 0x1.9b3e047f38741p-1;
        case 14: return 0x1.8bc806b151741p-1;
        case 15: return 0x1.7b5df226aafafp-1;
        case 16: return 0x1.6a09e667f3bcdp-1;
        case 17: return 0x1.57d69348ceca0p-1;
        case 18: return 0x1.44cf325091dd6p-1;
        case 19: return 0x1.30ff7fce17035p-1;
        case 20: return 0x1.1c73b39ae68c8p-1;
        case 21: return 0x1.073879922ffeep-1;
        case 22: return 0x1.e2b5d3806f63bp-2;
        case 23: return 0x1.b5d1009e15cc0p-2;
        case 24: return 0x1.87de2a6aea963p-2;
        case 25: return 0x1.58f9a75ab1fddp-2;
        case 26: return 0x1.294062ed59f06p-2;
        case 27: return 0x1.f19f97b215f1bp-3;
        case 28: return 0x1.8f8b83c69a60bp-3;
        case 29: return 0x1.2c8106e8e613ap-3;
        case 30: return 0x1.917a6bc29b42cp-4;
        case 31: return 0x1.91f65f10dd814p-5;
        case 32: return 0.0;
    }
    return 0.0;
}

/// Angle of the twiddle of a node of levels 0..4, in units of pi / 64; below 32 for even nodes.
DEVICE constexpr int angle(int level, int node) {
    int result = 16;
    for (int d = level - 1; d >= 0; --d) result = result / 2 + ((node >> d) & 1) * 32;
    return result;
}

/// `a + w b` and `a - w b`, w = (wr, wi), in place.
DEVICE void butterfly(double &ar, double &ai, double &br, double &bi, double wr, double wi) {
    const double re = fused(-wi, bi, fused(wr, br, ar)), im = fused(wi, br, fused(wr, bi, ai));
    br = fused(2.0, ar, -re);
    bi = fused(2.0, ai, -im);
    ar = re;
    ai = im;
}

/// Inverse, times two: `x + y` and `(x - y) conj(w)`, in place.
DEVICE void inverse_butterfly(double &xr, double &xi, double &yr, double &yi, double wr, double wi) {
    const double re = xr - yr, im = xi - yi;
    xr += yr;
    xi += yi;
    yr = fused(im, wi, re * wr);
    yi = fused(-re, wi, im * wr);
}

/// A butterfly of levels 0..4: the registers that it reads, and its twiddle.
template <int LEVEL, int INDEX> struct Butterfly {
    static constexpr int HALF = POINTS >> (LEVEL + 1);
    static constexpr int NODE = INDEX / HALF;
    static constexpr int LOW = NODE * 2 * HALF + INDEX % HALF, HIGH = LOW + HALF;
    static constexpr bool ODD = NODE % 2 == 1;
    /// Cosine and sine of the even sibling.
    static constexpr double COS = cosine(angle(LEVEL, NODE & ~1)), SIN = cosine(32 - angle(LEVEL, NODE & ~1));
};

/// Levels 1..4 with constant twiddles; level 0 is part of reading the digits.
DEVICE void forward_constant(double (&re)[POINTS], double (&im)[POINTS]) {
    repeat<1, 5>([&](auto level) {
        constexpr int LEVEL = level.value;
        repeat<0, POINTS / 2>([&](auto index) {
            using B = Butterfly<LEVEL, index.value>;
            butterfly(re[B::LOW], im[B::LOW], re[B::HIGH], im[B::HIGH], B::ODD ? -B::SIN : B::COS, B::ODD ? B::COS : B::SIN);
        });
    });
}

/// The factor that the inverse butterflies of a node leave out: the larger one of cosine and sine.
DEVICE constexpr double left_out(int level, int node) {
    const int even = angle(level, node & ~1);
    return cosine(even <= 16 ? even : 32 - even);
}

/// What register q has to be multiplied with before level `level` of the inverse: what levels 4..level+1 left out. Both
/// results of a butterfly go on with the factor of its low register, so a level counts as its first node below the node
/// of level `level + 1` that holds q.
DEVICE constexpr double pending(int level, int q) {
    double result = 1.0;
    for (int d = 4; d > level; --d) {
        if ((q >> (4 - d)) & 1) result *= left_out(d, (q >> (4 - level)) << (d - level - 1));
    }
    return result;
}

/// Levels 4..0 back, times 32: the value of register q is `pending(-1, q)` times what is left there.
DEVICE void inverse_constant(double (&re)[POINTS], double (&im)[POINTS]) {
    repeat<0, 5>([&](auto step) {
        constexpr int LEVEL = 4 - step.value;
        repeat<0, POINTS / 2>([&](auto index) {
            using B = Butterfly<LEVEL, index.value>;
            constexpr int X = B::LOW, Y = B::HIGH;
            constexpr double RELATIVE = pending(LEVEL, Y) / pending(LEVEL, X);
            const double dr = fused(-RELATIVE, re[Y], re[X]), di = fused(-RELATIVE, im[Y], im[X]);
            re[X] = fused(RELATIVE, re[Y], re[X]);
            im[X] = fused(RELATIVE, im[Y], im[X]);
            // conj(w) of an even node is cos - i sin, of an odd one -i times that.
            constexpr bool BY_COSINE = B::COS >= B::SIN;
            constexpr double RATIO = BY_COSINE ? B::SIN / B::COS : B::COS / B::SIN;
            const double tr = BY_COSINE ? fused(RATIO, di, dr) : fused(RATIO, dr, di);
            const double ti = BY_COSINE ? fused(-RATIO, dr, di) : fused(RATIO, di, -dr);
            re[Y] = B::ODD ? ti : tr;
            im[Y] = B::ODD ? -tr : ti;
        });
    });
}

/// Entry of a node's table with the twiddle of the even node 2 `pair` of local level `level`: 0, 1, 2..3, 4..7, 8..15.
DEVICE constexpr int entry(int level, int pair) { return level == 0 ? 0 : (1 << (level - 1)) + pair; }

/// A pair of butterflies of levels 5..9, in an even node and its odd sibling; of level 5, which has one node, half a pair.
template <int LEVEL, int INDEX> struct LocalButterflies {
    static constexpr int HALF = POINTS >> (LEVEL + 1);
    static constexpr bool TWO = LEVEL > 0;
    static constexpr int PAIR = INDEX / HALF;
    static constexpr int LOW = PAIR * 4 * HALF + INDEX % HALF, HIGH = LOW + HALF;
    static constexpr int ODD_LOW = (LOW + 2 * HALF) % POINTS, ODD_HIGH = (HIGH + 2 * HALF) % POINTS;
};

/// Runs `f(butterflies, twiddle)` for all butterflies of a local level.
template <int LEVEL, class F> DEVICE void local_level(Shared<const Complex> twiddles, u32 m, const F &f) {
    constexpr int PAIRS = LEVEL == 0 ? 1 : 1 << (LEVEL - 1), HALF = POINTS >> (LEVEL + 1);
    repeat<0, PAIRS>([&](auto pair) {
        constexpr int FIRST = pair.value * HALF;
        const Complex w = twiddles[entry(LEVEL, pair.value) * 32 + m];
        repeat<0, HALF>([&](auto k) { f(LocalButterflies<LEVEL, FIRST + k.value>{}, w); });
    });
}

/// Levels 5..9 of node `m`; `twiddles`: [entry < 16][m < 32].
DEVICE void forward_local(double (&re)[POINTS], double (&im)[POINTS], Shared<const Complex> twiddles, u32 m) {
    repeat<0, 5>([&](auto level) {
        local_level<level.value>(twiddles, m, [&](auto b, const Complex &w) {
            butterfly(re[b.LOW], im[b.LOW], re[b.HIGH], im[b.HIGH], w.re, w.im);
            if constexpr (b.TWO) butterfly(re[b.ODD_LOW], im[b.ODD_LOW], re[b.ODD_HIGH], im[b.ODD_HIGH], -w.im, w.re);
        });
    });
}

/// Levels 9..5 of node `m` back, times 32.
DEVICE void inverse_local(double (&re)[POINTS], double (&im)[POINTS], Shared<const Complex> twiddles, u32 m) {
    repeat<0, 5>([&](auto step) {
        local_level<4 - step.value>(twiddles, m, [&](auto b, const Complex &w) {
            inverse_butterfly(re[b.LOW], im[b.LOW], re[b.HIGH], im[b.HIGH], w.re, w.im);
            if constexpr (b.TWO) {
                inverse_butterfly(re[b.ODD_LOW], im[b.ODD_LOW], re[b.ODD_HIGH], im[b.ODD_HIGH], -w.im, w.re);
            }
        });
    });
}
