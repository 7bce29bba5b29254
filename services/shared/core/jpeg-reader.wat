;; Reads the scan of a plain JPEG: Huffman codes to blocks of 8x8 coefficients, and their inverse discrete cosine transform, that of Loeffler,
;; Ligtenberg and Moschytz (1989) in whole numbers, its sums multiplied out so that each is two or four products of 16 bits. Constants are times
;; 2 ** 13. Assembled into jpeg-reader-wasm.ts by `npm run build:wasm`; what lies where in its memory is said in baseline-jpeg.ts.
(module
  (import "env" "memory" (memory 1))

  ;; One dimension of eight lines at once: number n of each line lies at `from` + 16 n, and what it becomes at `to` + 16 n, `shift` bits smaller.
  (func $lines (param $from i32) (param $to i32) (param $offset i32) (param $shift i32)
    (local $r0 v128) (local $r1 v128) (local $r2 v128) (local $r3 v128) (local $r4 v128) (local $r5 v128) (local $r6 v128) (local $r7 v128)
    (local $offsetx4 v128) (local $a v128) (local $b v128) (local $g v128) (local $h v128)
    (local $even0 v128) (local $even1 v128) (local $even2 v128) (local $even3 v128)
    (local $sum0 v128) (local $sum1 v128) (local $sum2 v128) (local $sum3 v128)
    (local $odd0 v128) (local $odd1 v128) (local $odd2 v128) (local $odd3 v128)
    (local $low0 v128) (local $low1 v128) (local $low2 v128) (local $low3 v128)
    (local $low4 v128) (local $low5 v128) (local $low6 v128) (local $low7 v128)
    (local.set $r0 (v128.load offset=0 (local.get $from)))
    (local.set $r1 (v128.load offset=16 (local.get $from)))
    (local.set $r2 (v128.load offset=32 (local.get $from)))
    (local.set $r3 (v128.load offset=48 (local.get $from)))
    (local.set $r4 (v128.load offset=64 (local.get $from)))
    (local.set $r5 (v128.load offset=80 (local.get $from)))
    (local.set $r6 (v128.load offset=96 (local.get $from)))
    (local.set $r7 (v128.load offset=112 (local.get $from)))
    (local.set $offsetx4 (i32x4.splat (local.get $offset)))
    ;; The first four lines.
    (local.set $a (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r0) (local.get $r4)))
    (local.set $b (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r2) (local.get $r6)))
    (local.set $g (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r1) (local.get $r3)))
    (local.set $h (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r5) (local.get $r7)))
    (local.set $even0 (i32x4.add (local.get $offsetx4) (i32x4.dot_i16x8_s (local.get $a) (v128.const i16x8 8192 8192 8192 8192 8192 8192 8192 8192))))
    (local.set $even1 (i32x4.add (local.get $offsetx4) (i32x4.dot_i16x8_s (local.get $a) (v128.const i16x8 8192 -8192 8192 -8192 8192 -8192 8192 -8192))))
    (local.set $even2 (i32x4.dot_i16x8_s (local.get $b) (v128.const i16x8 4433 -10704 4433 -10704 4433 -10704 4433 -10704)))
    (local.set $even3 (i32x4.dot_i16x8_s (local.get $b) (v128.const i16x8 10703 4433 10703 4433 10703 4433 10703 4433)))
    (local.set $sum0 (i32x4.add (local.get $even0) (local.get $even3)))
    (local.set $sum1 (i32x4.add (local.get $even1) (local.get $even2)))
    (local.set $sum2 (i32x4.sub (local.get $even1) (local.get $even2)))
    (local.set $sum3 (i32x4.sub (local.get $even0) (local.get $even3)))
    (local.set $odd0 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 2260 -6436 2260 -6436 2260 -6436 2260 -6436))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 9633 -11363 9633 -11363 9633 -11363 9633 -11363))))
    (local.set $odd1 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 6437 -11362 6437 -11362 6437 -11362 6437 -11362))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 2261 9633 2261 9633 2261 9633 2261 9633))))
    (local.set $odd2 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 9633 -2259 9633 -2259 9633 -2259 9633 -2259))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 -11362 -6436 -11362 -6436 -11362 -6436 -11362 -6436))))
    (local.set $odd3 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 11363 9633 11363 9633 11363 9633 11363 9633))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 6437 2260 6437 2260 6437 2260 6437 2260))))
    (local.set $low0 (i32x4.shr_s (i32x4.add (local.get $sum0) (local.get $odd3)) (local.get $shift)))
    (local.set $low1 (i32x4.shr_s (i32x4.add (local.get $sum1) (local.get $odd2)) (local.get $shift)))
    (local.set $low2 (i32x4.shr_s (i32x4.add (local.get $sum2) (local.get $odd1)) (local.get $shift)))
    (local.set $low3 (i32x4.shr_s (i32x4.add (local.get $sum3) (local.get $odd0)) (local.get $shift)))
    (local.set $low4 (i32x4.shr_s (i32x4.sub (local.get $sum3) (local.get $odd0)) (local.get $shift)))
    (local.set $low5 (i32x4.shr_s (i32x4.sub (local.get $sum2) (local.get $odd1)) (local.get $shift)))
    (local.set $low6 (i32x4.shr_s (i32x4.sub (local.get $sum1) (local.get $odd2)) (local.get $shift)))
    (local.set $low7 (i32x4.shr_s (i32x4.sub (local.get $sum0) (local.get $odd3)) (local.get $shift)))
    ;; The last four lines.
    (local.set $a (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r0) (local.get $r4)))
    (local.set $b (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r2) (local.get $r6)))
    (local.set $g (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r1) (local.get $r3)))
    (local.set $h (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r5) (local.get $r7)))
    (local.set $even0 (i32x4.add (local.get $offsetx4) (i32x4.dot_i16x8_s (local.get $a) (v128.const i16x8 8192 8192 8192 8192 8192 8192 8192 8192))))
    (local.set $even1 (i32x4.add (local.get $offsetx4) (i32x4.dot_i16x8_s (local.get $a) (v128.const i16x8 8192 -8192 8192 -8192 8192 -8192 8192 -8192))))
    (local.set $even2 (i32x4.dot_i16x8_s (local.get $b) (v128.const i16x8 4433 -10704 4433 -10704 4433 -10704 4433 -10704)))
    (local.set $even3 (i32x4.dot_i16x8_s (local.get $b) (v128.const i16x8 10703 4433 10703 4433 10703 4433 10703 4433)))
    (local.set $sum0 (i32x4.add (local.get $even0) (local.get $even3)))
    (local.set $sum1 (i32x4.add (local.get $even1) (local.get $even2)))
    (local.set $sum2 (i32x4.sub (local.get $even1) (local.get $even2)))
    (local.set $sum3 (i32x4.sub (local.get $even0) (local.get $even3)))
    (local.set $odd0 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 2260 -6436 2260 -6436 2260 -6436 2260 -6436))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 9633 -11363 9633 -11363 9633 -11363 9633 -11363))))
    (local.set $odd1 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 6437 -11362 6437 -11362 6437 -11362 6437 -11362))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 2261 9633 2261 9633 2261 9633 2261 9633))))
    (local.set $odd2 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 9633 -2259 9633 -2259 9633 -2259 9633 -2259))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 -11362 -6436 -11362 -6436 -11362 -6436 -11362 -6436))))
    (local.set $odd3 (i32x4.add (i32x4.dot_i16x8_s (local.get $g) (v128.const i16x8 11363 9633 11363 9633 11363 9633 11363 9633))
      (i32x4.dot_i16x8_s (local.get $h) (v128.const i16x8 6437 2260 6437 2260 6437 2260 6437 2260))))
    (v128.store offset=0 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low0) (i32x4.shr_s (i32x4.add (local.get $sum0) (local.get $odd3)) (local.get $shift))))
    (v128.store offset=16 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low1) (i32x4.shr_s (i32x4.add (local.get $sum1) (local.get $odd2)) (local.get $shift))))
    (v128.store offset=32 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low2) (i32x4.shr_s (i32x4.add (local.get $sum2) (local.get $odd1)) (local.get $shift))))
    (v128.store offset=48 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low3) (i32x4.shr_s (i32x4.add (local.get $sum3) (local.get $odd0)) (local.get $shift))))
    (v128.store offset=64 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low4) (i32x4.shr_s (i32x4.sub (local.get $sum3) (local.get $odd0)) (local.get $shift))))
    (v128.store offset=80 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low5) (i32x4.shr_s (i32x4.sub (local.get $sum2) (local.get $odd1)) (local.get $shift))))
    (v128.store offset=96 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low6) (i32x4.shr_s (i32x4.sub (local.get $sum1) (local.get $odd2)) (local.get $shift))))
    (v128.store offset=112 (local.get $to) (i16x8.narrow_i32x4_s (local.get $low7) (i32x4.shr_s (i32x4.sub (local.get $sum0) (local.get $odd3)) (local.get $shift)))))

  ;; Turns eight lines of eight numbers at `at` into columns.
  (func $turn (param $at i32)
    (local $r0 v128) (local $r1 v128) (local $r2 v128) (local $r3 v128) (local $r4 v128) (local $r5 v128) (local $r6 v128) (local $r7 v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128) (local $s4 v128) (local $s5 v128) (local $s6 v128) (local $s7 v128)
    (local.set $r0 (v128.load offset=0 (local.get $at)))
    (local.set $r1 (v128.load offset=16 (local.get $at)))
    (local.set $r2 (v128.load offset=32 (local.get $at)))
    (local.set $r3 (v128.load offset=48 (local.get $at)))
    (local.set $r4 (v128.load offset=64 (local.get $at)))
    (local.set $r5 (v128.load offset=80 (local.get $at)))
    (local.set $r6 (v128.load offset=96 (local.get $at)))
    (local.set $r7 (v128.load offset=112 (local.get $at)))
    (local.set $s0 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r0) (local.get $r4)))
    (local.set $s1 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r0) (local.get $r4)))
    (local.set $s2 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r1) (local.get $r5)))
    (local.set $s3 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r1) (local.get $r5)))
    (local.set $s4 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r2) (local.get $r6)))
    (local.set $s5 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r2) (local.get $r6)))
    (local.set $s6 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r3) (local.get $r7)))
    (local.set $s7 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r3) (local.get $r7)))
    (local.set $r0 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $s0) (local.get $s4)))
    (local.set $r1 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $s0) (local.get $s4)))
    (local.set $r2 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $s1) (local.get $s5)))
    (local.set $r3 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $s1) (local.get $s5)))
    (local.set $r4 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $s2) (local.get $s6)))
    (local.set $r5 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $s2) (local.get $s6)))
    (local.set $r6 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $s3) (local.get $s7)))
    (local.set $r7 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $s3) (local.get $s7)))
    (v128.store offset=0 (local.get $at) (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r0) (local.get $r4)))
    (v128.store offset=16 (local.get $at) (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r0) (local.get $r4)))
    (v128.store offset=32 (local.get $at) (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r1) (local.get $r5)))
    (v128.store offset=48 (local.get $at) (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r1) (local.get $r5)))
    (v128.store offset=64 (local.get $at) (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r2) (local.get $r6)))
    (v128.store offset=80 (local.get $at) (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r2) (local.get $r6)))
    (v128.store offset=96 (local.get $at) (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $r3) (local.get $r7)))
    (v128.store offset=112 (local.get $at) (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $r3) (local.get $r7))))

  ;; The values of one block, 0..255, to `to`, its rows `rowLength` apart. The coefficients at `from`, columns first, are zero afterwards.
  (func $block (param $from i32) (param $scratch i32) (param $to i32) (param $rowLength i32)
    (local $row i32) (local $values v128) (local $flat i32)
    (local.set $values (v128.and (v128.const i16x8 0 -1 -1 -1 -1 -1 -1 -1) (v128.load (local.get $from))))
    (local.set $values (v128.or (local.get $values) (v128.load offset=16 (local.get $from))))
    (local.set $values (v128.or (local.get $values) (v128.load offset=32 (local.get $from))))
    (local.set $values (v128.or (local.get $values) (v128.load offset=48 (local.get $from))))
    (local.set $values (v128.or (local.get $values) (v128.load offset=64 (local.get $from))))
    (local.set $values (v128.or (local.get $values) (v128.load offset=80 (local.get $from))))
    (local.set $values (v128.or (local.get $values) (v128.load offset=96 (local.get $from))))
    (local.set $values (v128.or (local.get $values) (v128.load offset=112 (local.get $from))))
    (local.set $flat (i32.eqz (v128.any_true (local.get $values))))
    (if (local.get $flat)
      (then
        ;; Nothing but the mean, which is told eight times too large and less 128.
        (local.set $values (i16x8.splat (i32.add (i32.const 128)
          (i32.shr_s (i32.add (i32.const 4) (i32.load16_s (local.get $from))) (i32.const 3)))))
        (local.set $values (i8x16.narrow_i16x8_u (local.get $values) (local.get $values)))
        (v128.store (local.get $from) (v128.const i32x4 0 0 0 0)))
      (else
        ;; Two bits behind the point stay between the two dimensions; the second adds 128.
        (call $lines (local.get $from) (local.get $scratch) (i32.const 1024) (i32.const 11))
        (call $turn (local.get $scratch))
        (call $lines (local.get $scratch) (local.get $scratch) (i32.const 33685504) (i32.const 18))
        (v128.store offset=0 (local.get $from) (v128.const i32x4 0 0 0 0))
        (v128.store offset=16 (local.get $from) (v128.const i32x4 0 0 0 0))
        (v128.store offset=32 (local.get $from) (v128.const i32x4 0 0 0 0))
        (v128.store offset=48 (local.get $from) (v128.const i32x4 0 0 0 0))
        (v128.store offset=64 (local.get $from) (v128.const i32x4 0 0 0 0))
        (v128.store offset=80 (local.get $from) (v128.const i32x4 0 0 0 0))
        (v128.store offset=96 (local.get $from) (v128.const i32x4 0 0 0 0))
        (v128.store offset=112 (local.get $from) (v128.const i32x4 0 0 0 0))))
    (loop $next
      (if (i32.eqz (local.get $flat))
        (then
          (local.set $values (v128.load (local.get $scratch)))
          (local.set $values (i8x16.narrow_i16x8_u (local.get $values) (local.get $values)))
          (local.set $scratch (i32.add (local.get $scratch) (i32.const 16)))))
      (v128.store64_lane 0 (local.get $to) (local.get $values))
      (local.set $to (i32.add (local.get $to) (local.get $rowLength)))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $row) (i32.const 8)))))

  ;; A row of `count` groups of six blocks: four of brightness, left to right and top to bottom, and one of each colour. The 128 bytes at `scratch` are
  ;; used in between; `y`, `u` and `v` are where the first group's values go.
  (func $groups
    (param $from i32) (param $scratch i32) (param $count i32) (param $y i32) (param $yRow i32) (param $u i32) (param $v i32) (param $colourRow i32)
    (local $below i32)
    (local.set $below (i32.shl (local.get $yRow) (i32.const 3)))
    (loop $next
      (call $block (local.get $from) (local.get $scratch) (local.get $y) (local.get $yRow))
      (call $block (i32.add (local.get $from) (i32.const 128)) (local.get $scratch) (i32.add (local.get $y) (i32.const 8)) (local.get $yRow))
      (call $block (i32.add (local.get $from) (i32.const 256)) (local.get $scratch) (i32.add (local.get $y) (local.get $below)) (local.get $yRow))
      (call $block (i32.add (local.get $from) (i32.const 384)) (local.get $scratch)
        (i32.add (i32.add (local.get $y) (local.get $below)) (i32.const 8)) (local.get $yRow))
      (call $block (i32.add (local.get $from) (i32.const 512)) (local.get $scratch) (local.get $u) (local.get $colourRow))
      (call $block (i32.add (local.get $from) (i32.const 640)) (local.get $scratch) (local.get $v) (local.get $colourRow))
      (local.set $from (i32.add (local.get $from) (i32.const 768)))
      (local.set $y (i32.add (local.get $y) (i32.const 16)))
      (local.set $u (i32.add (local.get $u) (i32.const 8)))
      (local.set $v (i32.add (local.get $v) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $next (local.get $count))))

  ;; The bits of the scan, and how many there are. Behind them lie as many zeros as one block can read.
  (global $scan (mut i32) (i32.const 0))
  (global $end (mut i32) (i32.const 0))

  ;; The bits from `position` on, at the top of a word; at least 25 of them.
  (func $window (param $position i32) (result i32)
    (local $word i32)
    (local.set $word (i32.load (i32.add (global.get $scan) (i32.shr_u (local.get $position) (i32.const 3)))))
    (i32.shl
      (i32.or
        (i32.and (i32.rotl (local.get $word) (i32.const 8)) (i32.const 0x00ff00ff))
        (i32.and (i32.rotr (local.get $word) (i32.const 8)) (i32.const 0xff00ff00)))
      (i32.and (local.get $position) (i32.const 7))))

  ;; The number that the first bits of the window stand for: without a leading one it is negative.
  (func $signed (param $window i32) (param $bits i32) (result i32)
    (local $value i32)
    (local.set $value (i32.shr_u (local.get $window) (i32.sub (i32.const 32) (local.get $bits))))
    (select
      (local.get $value)
      (i32.sub (local.get $value) (i32.sub (i32.shl (i32.const 1) (local.get $bits)) (i32.const 1)))
      (i32.lt_s (local.get $window) (i32.const 0))))

  ;; The symbol of a code that is too long for the look-up, above 5 bits that hold the length of its code; 0 where there is no such code. For each length
  ;; the table has the first number that is too large for it (at 4096), and the index of a symbol less its code (at 4164); symbols at 4232.
  (func $long (param $table i32) (param $window i32) (result i32)
    (local $next i32) (local $length i32) (local $at i32)
    (local.set $next (i32.shr_u (local.get $window) (i32.const 16)))
    (local.set $length (i32.const 1))
    (loop $try
      (local.set $at (i32.add (local.get $table) (i32.shl (local.get $length) (i32.const 2))))
      (if (i32.lt_s (local.get $next) (i32.load offset=4096 (local.get $at)))
        (then
          (return
            (i32.or
              (i32.shl
                (i32.load8_u offset=4232
                  (i32.add (local.get $table)
                    (i32.and (i32.const 255)
                      (i32.add (i32.load offset=4164 (local.get $at))
                        (i32.shr_u (local.get $next) (i32.sub (i32.const 16) (local.get $length)))))))
                (i32.const 5))
              (local.get $length)))))
      (local.set $length (i32.add (local.get $length) (i32.const 1)))
      (br_if $try (i32.le_u (local.get $length) (i32.const 16))))
    (i32.const 0))

  ;; The coefficients of one block from bit `position` on, to `to`; gives where the next one begins, and -1 for bits that are none. The component's record:
  ;; its mean before (4 bytes); where its steps, its codes of means and of the others lie (4 each). The order of coefficients lies at `order`.
  (func $codes (param $component i32) (param $order i32) (param $position i32) (param $to i32) (result i32)
    (local $steps i32) (local $table i32) (local $window i32) (local $entry i32) (local $index i32) (local $value i32)
    (local $size i32) (local $largest i32)
    (if (i32.gt_s (local.get $position) (global.get $end)) (then (return (i32.const -1))))
    (local.set $steps (i32.load offset=4 (local.get $component)))
    (local.set $table (i32.load offset=8 (local.get $component)))
    (local.set $window (call $window (local.get $position)))
    (local.set $entry
      (i32.load (i32.add (local.get $table) (i32.shl (i32.shr_u (local.get $window) (i32.const 22)) (i32.const 2)))))
    (if (i32.eqz (local.get $entry)) (then (local.set $entry (call $long (local.get $table) (local.get $window)))))
    (if (i32.eqz (local.get $entry)) (then (return (i32.const -1))))
    (local.set $position (i32.add (local.get $position) (i32.and (local.get $entry) (i32.const 31))))
    (local.set $size (i32.shr_u (local.get $entry) (i32.const 5)))
    (if (local.get $size)
      (then
        (i32.store (local.get $component)
          (i32.add (i32.load (local.get $component)) (call $signed (call $window (local.get $position)) (local.get $size))))
        (local.set $position (i32.add (local.get $position) (local.get $size)))))
    (local.set $value (i32.mul (i32.load (local.get $component)) (i32.load (local.get $steps))))
    (i32.store16 (local.get $to) (local.get $value))
    (local.set $largest
      (select (i32.sub (i32.const 0) (local.get $value)) (local.get $value) (i32.lt_s (local.get $value) (i32.const 0))))

    (local.set $table (i32.load offset=12 (local.get $component)))
    (local.set $index (i32.const 1))
    (block $done
      (loop $next
        (local.set $window (call $window (local.get $position)))
        (local.set $entry
          (i32.load (i32.add (local.get $table) (i32.shl (i32.shr_u (local.get $window) (i32.const 22)) (i32.const 2)))))
        (if (local.get $entry)
          (then
            (local.set $index
              (i32.add (local.get $index) (i32.and (i32.shr_u (local.get $entry) (i32.const 5)) (i32.const 127))))
            (local.set $position (i32.add (local.get $position) (i32.and (local.get $entry) (i32.const 31))))
            (local.set $value (i32.shr_s (local.get $entry) (i32.const 12))))
          (else
            (local.set $entry (call $long (local.get $table) (local.get $window)))
            (if (i32.eqz (local.get $entry)) (then (return (i32.const -1))))
            (local.set $position (i32.add (local.get $position) (i32.and (local.get $entry) (i32.const 31))))
            (local.set $entry (i32.shr_u (local.get $entry) (i32.const 5)))
            (local.set $size (i32.and (local.get $entry) (i32.const 15)))
            (if (local.get $size)
              (then
                (local.set $index (i32.add (local.get $index) (i32.shr_u (local.get $entry) (i32.const 4))))
                (local.set $value (call $signed (call $window (local.get $position)) (local.get $size)))
                (local.set $position (i32.add (local.get $position) (local.get $size))))
              (else
                ;; The end of the block, or sixteen zeros.
                (local.set $index
                  (i32.add (local.get $index)
                    (select (i32.const 15) (i32.const 64) (i32.eq (local.get $entry) (i32.const 0xf0)))))
                (local.set $value (i32.const 0))))))
        (if (i32.gt_u (local.get $index) (i32.const 63))
          (then
            (if (local.get $value) (then (return (i32.const -1))))
            (br $done)))
        (local.set $value
          (i32.mul (local.get $value) (i32.load (i32.add (local.get $steps) (i32.shl (local.get $index) (i32.const 2))))))
        (i32.store16
          (i32.add (local.get $to) (i32.load8_u (i32.add (local.get $order) (local.get $index))))
          (local.get $value))
        (local.set $largest
          (i32.or (local.get $largest)
            (select (i32.sub (i32.const 0) (local.get $value)) (local.get $value) (i32.lt_s (local.get $value) (i32.const 0)))))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $index) (i32.const 64)))))
    ;; No picture has larger ones.
    (select (i32.const -1) (local.get $position) (i32.gt_u (local.get $largest) (i32.const 32767))))

  ;; A whole scan of `bits` bits at `scan`: rows of `columns` groups, whose values go to the planes `y`, `u` and `v`, whole groups wide. Coefficients of a row
  ;; lie at 0, `scratch` is for the transform; `components`: three records as above, 16 bytes each. 1 where the bits come out even, else 0.
  (func (export "read")
    (param $scan i32) (param $bits i32) (param $columns i32) (param $rows i32) (param $components i32) (param $order i32) (param $scratch i32)
    (param $y i32) (param $u i32) (param $v i32) (result i32)
    (local $position i32) (local $column i32) (local $block i32) (local $to i32)
    (global.set $scan (local.get $scan))
    (global.set $end (local.get $bits))
    (loop $nextRow
      (local.set $to (i32.const 0))
      (local.set $column (i32.const 0))
      (loop $nextGroup
        (local.set $block (i32.const 0))
        (loop $nextBlock
          (local.set $position
            (call $codes
              (i32.add (local.get $components)
                (select
                  (i32.const 0)
                  (i32.shl (i32.sub (local.get $block) (i32.const 3)) (i32.const 4))
                  (i32.lt_u (local.get $block) (i32.const 4))))
              (local.get $order) (local.get $position) (local.get $to)))
          (if (i32.lt_s (local.get $position) (i32.const 0)) (then (return (i32.const 0))))
          (local.set $to (i32.add (local.get $to) (i32.const 128)))
          (local.set $block (i32.add (local.get $block) (i32.const 1)))
          (br_if $nextBlock (i32.lt_u (local.get $block) (i32.const 6))))
        (local.set $column (i32.add (local.get $column) (i32.const 1)))
        (br_if $nextGroup (i32.lt_u (local.get $column) (local.get $columns))))
      (call $groups (i32.const 0) (local.get $scratch) (local.get $columns)
        (local.get $y) (i32.shl (local.get $columns) (i32.const 4))
        (local.get $u) (local.get $v) (i32.shl (local.get $columns) (i32.const 3)))
      (local.set $y (i32.add (local.get $y) (i32.shl (local.get $columns) (i32.const 8))))
      (local.set $u (i32.add (local.get $u) (i32.shl (local.get $columns) (i32.const 6))))
      (local.set $v (i32.add (local.get $v) (i32.shl (local.get $columns) (i32.const 6))))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $nextRow (local.get $rows)))
    (i32.and
      (i32.le_s (local.get $position) (local.get $bits))
      (i32.lt_s (i32.sub (local.get $bits) (local.get $position)) (i32.const 8)))))
