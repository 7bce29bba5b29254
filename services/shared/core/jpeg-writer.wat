;; Writes the blocks of a JPEG straight from planes of brightness and colour: the forward discrete cosine transform of Arai, Agui and Nakajima (1988)
;; in single precision, whose scales are part of the factors that quantise, and the codes of Huffman. Assembled into jpeg-writer-wasm.ts by
;; `npm run build:wasm`; where its tables lie is said in baseline-jpeg-writer.ts.
(module
  (import "env" "memory" (memory 1))

  ;; Bits that fill no byte yet, how many, and where the next byte goes.
  (global $bits (mut i64) (i64.const 0))
  (global $count (mut i32) (i32.const 0))
  (global $to (mut i32) (i32.const 0))

  (func $byte (param $byte i32)
    (i32.store8 (global.get $to) (local.get $byte))
    (global.set $to (i32.add (global.get $to) (i32.const 1)))
    ;; A byte of ones is followed by one of zeros: else it were the beginning of a marker.
    (if (i32.eq (local.get $byte) (i32.const 255))
      (then
        (i32.store8 (global.get $to) (i32.const 0))
        (global.set $to (i32.add (global.get $to) (i32.const 1))))))

  ;; All whole bytes of the bits that wait.
  (func $flush
    (block $done
      (loop $next
        (br_if $done (i32.lt_u (global.get $count) (i32.const 8)))
        (global.set $count (i32.sub (global.get $count) (i32.const 8)))
        (call $byte
          (i32.and (i32.wrap_i64 (i64.shr_u (global.get $bits) (i64.extend_i32_u (global.get $count)))) (i32.const 255)))
        (br $next))))

  ;; At most 26 bits, behind fewer than 32 that wait.
  (func $put (param $value i32) (param $length i32)
    (local $word i32)
    (global.set $bits
      (i64.or (i64.shl (global.get $bits) (i64.extend_i32_u (local.get $length))) (i64.extend_i32_u (local.get $value))))
    (global.set $count (i32.add (global.get $count) (local.get $length)))
    (if (i32.lt_u (global.get $count) (i32.const 32)) (then (return)))
    (local.set $word
      (i32.wrap_i64 (i64.shr_u (global.get $bits) (i64.extend_i32_u (i32.sub (global.get $count) (i32.const 32))))))
    ;; Any byte of ones?
    (if (i32.and
        (i32.and (i32.sub (i32.xor (local.get $word) (i32.const -1)) (i32.const 0x01010101)) (local.get $word))
        (i32.const 0x80808080))
      (then (call $flush) (return)))
    (global.set $count (i32.sub (global.get $count) (i32.const 32)))
    ;; Four at once, the first bits first.
    (i32.store (global.get $to)
      (i32.or
        (i32.and (i32.rotl (local.get $word) (i32.const 8)) (i32.const 0x00ff00ff))
        (i32.and (i32.rotr (local.get $word) (i32.const 8)) (i32.const 0xff00ff00))))
    (global.set $to (i32.add (global.get $to) (i32.const 4))))

  ;; The code of a value after `run` zeros, then the value itself, its leading zeros left out. Of each symbol the table has the code, and its length
  ;; above 16 bits.
  (func $code (param $table i32) (param $run i32) (param $value i32)
    (local $sign i32) (local $size i32) (local $entry i32)
    (local.set $sign (i32.shr_s (local.get $value) (i32.const 31)))
    (local.set $size
      (i32.sub (i32.const 32) (i32.clz (i32.sub (i32.xor (local.get $value) (local.get $sign)) (local.get $sign)))))
    (local.set $entry
      (i32.load (i32.add (local.get $table)
        (i32.shl (i32.or (i32.shl (local.get $run) (i32.const 4)) (local.get $size)) (i32.const 2)))))
    (call $put
      (i32.or
        (i32.shl (i32.and (local.get $entry) (i32.const 0xffff)) (local.get $size))
        (i32.and (i32.add (local.get $value) (local.get $sign))
          (i32.sub (i32.shl (i32.const 1) (local.get $size)) (i32.const 1))))
      (i32.add (i32.shr_u (local.get $entry) (i32.const 16)) (local.get $size))))

  ;; One dimension of four lines at once: number n of each lies at `at` + 32 n, and what it becomes too.
  (func $lines (param $at i32)
    (local $r0 v128) (local $r1 v128) (local $r2 v128) (local $r3 v128) (local $r4 v128) (local $r5 v128) (local $r6 v128) (local $r7 v128)
    (local $sum0 v128) (local $sum1 v128) (local $sum2 v128) (local $sum3 v128)
    (local $odd0 v128) (local $odd1 v128) (local $odd2 v128) (local $odd3 v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $turned v128)
    (local.set $r0 (v128.load offset=0 (local.get $at)))
    (local.set $r1 (v128.load offset=32 (local.get $at)))
    (local.set $r2 (v128.load offset=64 (local.get $at)))
    (local.set $r3 (v128.load offset=96 (local.get $at)))
    (local.set $r4 (v128.load offset=128 (local.get $at)))
    (local.set $r5 (v128.load offset=160 (local.get $at)))
    (local.set $r6 (v128.load offset=192 (local.get $at)))
    (local.set $r7 (v128.load offset=224 (local.get $at)))
    (local.set $sum0 (f32x4.add (local.get $r0) (local.get $r7)))
    (local.set $sum1 (f32x4.add (local.get $r1) (local.get $r6)))
    (local.set $sum2 (f32x4.add (local.get $r2) (local.get $r5)))
    (local.set $sum3 (f32x4.add (local.get $r3) (local.get $r4)))
    (local.set $odd0 (f32x4.sub (local.get $r0) (local.get $r7)))
    (local.set $odd1 (f32x4.sub (local.get $r1) (local.get $r6)))
    (local.set $odd2 (f32x4.sub (local.get $r2) (local.get $r5)))
    (local.set $odd3 (f32x4.sub (local.get $r3) (local.get $r4)))
    ;; The even ones.
    (local.set $a (f32x4.add (local.get $sum0) (local.get $sum3)))
    (local.set $b (f32x4.add (local.get $sum1) (local.get $sum2)))
    (local.set $c (f32x4.sub (local.get $sum0) (local.get $sum3)))
    (local.set $d (f32x4.sub (local.get $sum1) (local.get $sum2)))
    (v128.store offset=0 (local.get $at) (f32x4.add (local.get $a) (local.get $b)))
    (v128.store offset=128 (local.get $at) (f32x4.sub (local.get $a) (local.get $b)))
    (local.set $d
      (f32x4.mul (f32x4.add (local.get $c) (local.get $d)) (v128.const f32x4 0.70710678 0.70710678 0.70710678 0.70710678)))
    (v128.store offset=64 (local.get $at) (f32x4.add (local.get $c) (local.get $d)))
    (v128.store offset=192 (local.get $at) (f32x4.sub (local.get $c) (local.get $d)))
    ;; The odd ones.
    (local.set $a (f32x4.add (local.get $odd3) (local.get $odd2)))
    (local.set $b
      (f32x4.mul (f32x4.add (local.get $odd2) (local.get $odd1)) (v128.const f32x4 0.70710678 0.70710678 0.70710678 0.70710678)))
    (local.set $c (f32x4.add (local.get $odd1) (local.get $odd0)))
    (local.set $turned
      (f32x4.mul (f32x4.sub (local.get $a) (local.get $c)) (v128.const f32x4 0.38268343 0.38268343 0.38268343 0.38268343)))
    (local.set $a
      (f32x4.add (local.get $turned) (f32x4.mul (local.get $a) (v128.const f32x4 0.5411961 0.5411961 0.5411961 0.5411961))))
    (local.set $c
      (f32x4.add (local.get $turned) (f32x4.mul (local.get $c) (v128.const f32x4 1.30656296 1.30656296 1.30656296 1.30656296))))
    (local.set $d (f32x4.sub (local.get $odd0) (local.get $b)))
    (local.set $b (f32x4.add (local.get $odd0) (local.get $b)))
    (v128.store offset=32 (local.get $at) (f32x4.add (local.get $b) (local.get $c)))
    (v128.store offset=224 (local.get $at) (f32x4.sub (local.get $b) (local.get $c)))
    (v128.store offset=160 (local.get $at) (f32x4.add (local.get $d) (local.get $a)))
    (v128.store offset=96 (local.get $at) (f32x4.sub (local.get $d) (local.get $a))))

  ;; Rows to columns: a quarter of a block.
  (func $turn (param $from i32) (param $to i32)
    (local $r0 v128) (local $r1 v128) (local $r2 v128) (local $r3 v128) (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local.set $r0 (v128.load offset=0 (local.get $from)))
    (local.set $r1 (v128.load offset=32 (local.get $from)))
    (local.set $r2 (v128.load offset=64 (local.get $from)))
    (local.set $r3 (v128.load offset=96 (local.get $from)))
    (local.set $s0 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $r0) (local.get $r1)))
    (local.set $s1 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $r0) (local.get $r1)))
    (local.set $s2 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $r2) (local.get $r3)))
    (local.set $s3 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $r2) (local.get $r3)))
    (v128.store offset=0 (local.get $to) (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $s0) (local.get $s2)))
    (v128.store offset=32 (local.get $to) (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $s0) (local.get $s2)))
    (v128.store offset=64 (local.get $to) (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $s1) (local.get $s3)))
    (v128.store offset=96 (local.get $to) (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $s1) (local.get $s3))))

  ;; One block whose rows lie `row` bytes apart. The component's record: quantising factors, columns first (256 bytes); what is taken off the sum of a
  ;; block (4); the mean of the block before, quantised (4); where its codes of means and of the others lie (4 and 4). Scratch: 640 bytes at 0, and the
  ;; order of the coefficients behind them; the reverse of that order at 3776.
  (func $block (param $from i32) (param $row i32) (param $component i32)
    (local $index i32) (local $values v128) (local $mean i32) (local $run i32) (local $table i32)
    (local $found i64) (local $told i64) (local $before i32)
    (loop $load
      (local.set $values (v128.load64_zero (local.get $from)))
      (local.set $values (i16x8.extend_low_i8x16_u (local.get $values)))
      (v128.store offset=0 (local.get $index) (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (local.get $values))))
      (v128.store offset=16 (local.get $index) (f32x4.convert_i32x4_u (i32x4.extend_high_i16x8_u (local.get $values))))
      (local.set $from (i32.add (local.get $from) (local.get $row)))
      (local.set $index (i32.add (local.get $index) (i32.const 32)))
      (br_if $load (i32.lt_u (local.get $index) (i32.const 256))))
    (call $lines (i32.const 0))
    (call $lines (i32.const 16))
    (call $turn (i32.const 0) (i32.const 256))
    (call $turn (i32.const 16) (i32.const 384))
    (call $turn (i32.const 128) (i32.const 272))
    (call $turn (i32.const 144) (i32.const 400))
    (call $lines (i32.const 256))
    (call $lines (i32.const 272))
    (f32.store (i32.const 256) (f32.sub (f32.load (i32.const 256)) (f32.load offset=256 (local.get $component))))
    (local.set $index (i32.const 0))
    (loop $quantise
      (v128.store offset=512 (i32.shr_u (local.get $index) (i32.const 1))
        (i16x8.narrow_i32x4_s
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest
            (f32x4.mul (v128.load offset=256 (local.get $index)) (v128.load offset=0 (i32.add (local.get $component) (local.get $index))))))
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest
            (f32x4.mul (v128.load offset=272 (local.get $index)) (v128.load offset=16 (i32.add (local.get $component) (local.get $index))))))))
      (local.set $index (i32.add (local.get $index) (i32.const 32)))
      (br_if $quantise (i32.lt_u (local.get $index) (i32.const 256))))

    (local.set $mean (i32.load16_s offset=512 (i32.const 0)))
    (call $code (i32.load offset=264 (local.get $component)) (i32.const 0)
      (i32.sub (local.get $mean) (i32.load offset=260 (local.get $component))))
    (i32.store offset=260 (local.get $component) (local.get $mean))
    (local.set $table (i32.load offset=268 (local.get $component)))

    ;; Which coefficients are not zero, a bit each: in columns, then in the order in which they are told.
    (local.set $index (i32.const 96))
    (loop $sixteen
      (local.set $found
        (i64.or (i64.shl (local.get $found) (i64.const 16))
          (i64.extend_i32_u (i8x16.bitmask (i8x16.ne
            (i8x16.narrow_i16x8_s (v128.load offset=512 (local.get $index)) (v128.load offset=528 (local.get $index)))
            (v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0))))))
      (local.set $index (i32.sub (local.get $index) (i32.const 32)))
      (br_if $sixteen (i32.ge_s (local.get $index) (i32.const 0))))
    ;; The mean was told above.
    (local.set $found (i64.and (local.get $found) (i64.const -2)))
    (block $ordered
      (loop $order
        (br_if $ordered (i64.eqz (local.get $found)))
        (local.set $told
          (i64.or (local.get $told)
            (i64.shl (i64.const 1) (i64.load8_u offset=3776 (i32.wrap_i64 (i64.ctz (local.get $found)))))))
        (local.set $found (i64.and (local.get $found) (i64.sub (local.get $found) (i64.const 1))))
        (br $order)))

    (local.set $before (i32.const 0))
    (block $all
      (loop $next
        (br_if $all (i64.eqz (local.get $told)))
        (local.set $index (i32.wrap_i64 (i64.ctz (local.get $told))))
        (local.set $told (i64.and (local.get $told) (i64.sub (local.get $told) (i64.const 1))))
        (local.set $run (i32.sub (i32.sub (local.get $index) (local.get $before)) (i32.const 1)))
        (local.set $before (local.get $index))
        (block $few
          (loop $many
            (br_if $few (i32.lt_u (local.get $run) (i32.const 16)))
            (call $symbol (local.get $table) (i32.const 0xf0))
            (local.set $run (i32.sub (local.get $run) (i32.const 16)))
            (br $many)))
        (call $code (local.get $table) (local.get $run)
          (i32.load16_s offset=512 (i32.load8_u offset=640 (local.get $index))))
        (br $next)))
    (if (i32.lt_u (local.get $before) (i32.const 63)) (then (call $symbol (local.get $table) (i32.const 0)))))

  ;; One that no value follows: sixteen zeros, or nothing but zeros to the end.
  (func $symbol (param $table i32) (param $symbol i32)
    (local $entry i32)
    (local.set $entry (i32.load (i32.add (local.get $table) (i32.shl (local.get $symbol) (i32.const 2)))))
    (call $put (i32.and (local.get $entry) (i32.const 0xffff)) (i32.shr_u (local.get $entry) (i32.const 16))))

  ;; The block at column `x` and row `y` of a plane. Of one that reaches beyond the plane, the last column and row are repeated, in 64 bytes at 704.
  (func $placed (param $plane i32) (param $width i32) (param $height i32) (param $x i32) (param $y i32) (param $component i32)
    (local $column i32) (local $line i32) (local $atX i32) (local $atY i32)
    (if (i32.and
        (i32.le_u (i32.add (local.get $x) (i32.const 8)) (local.get $width))
        (i32.le_u (i32.add (local.get $y) (i32.const 8)) (local.get $height)))
      (then
        (call $block
          (i32.add (local.get $plane) (i32.add (local.get $x) (i32.mul (local.get $y) (local.get $width))))
          (local.get $width) (local.get $component))
        (return)))
    (loop $lines
      (local.set $atY (i32.add (local.get $y) (local.get $line)))
      (if (i32.ge_u (local.get $atY) (local.get $height)) (then (local.set $atY (i32.sub (local.get $height) (i32.const 1)))))
      (local.set $column (i32.const 0))
      (loop $columns
        (local.set $atX (i32.add (local.get $x) (local.get $column)))
        (if (i32.ge_u (local.get $atX) (local.get $width)) (then (local.set $atX (i32.sub (local.get $width) (i32.const 1)))))
        (i32.store8 offset=704 (i32.add (i32.shl (local.get $line) (i32.const 3)) (local.get $column))
          (i32.load8_u (i32.add (local.get $plane) (i32.add (local.get $atX) (i32.mul (local.get $atY) (local.get $width))))))
        (local.set $column (i32.add (local.get $column) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $column) (i32.const 8))))
      (local.set $line (i32.add (local.get $line) (i32.const 1)))
      (br_if $lines (i32.lt_u (local.get $line) (i32.const 8))))
    (call $block (i32.const 704) (i32.const 8) (local.get $component)))

  ;; A picture in YUV 4:2:0 at `planes`: all its blocks to `to`. Gives where they end. Components: three records as above, one after another.
  (func (export "write") (param $planes i32) (param $width i32) (param $height i32) (param $components i32) (param $to i32) (result i32)
    (local $x i32) (local $y i32) (local $u i32) (local $v i32) (local $colourWidth i32) (local $colourHeight i32)
    (local $uComponent i32) (local $vComponent i32)
    (global.set $to (local.get $to))
    (global.set $bits (i64.const 0))
    (global.set $count (i32.const 0))
    (local.set $uComponent (i32.add (local.get $components) (i32.const 272)))
    (local.set $vComponent (i32.add (local.get $components) (i32.const 544)))
    (i32.store offset=260 (local.get $components) (i32.const 0))
    (i32.store offset=260 (local.get $uComponent) (i32.const 0))
    (i32.store offset=260 (local.get $vComponent) (i32.const 0))
    (local.set $colourWidth (i32.shr_u (i32.add (local.get $width) (i32.const 1)) (i32.const 1)))
    (local.set $colourHeight (i32.shr_u (i32.add (local.get $height) (i32.const 1)) (i32.const 1)))
    (local.set $u (i32.add (local.get $planes) (i32.mul (local.get $width) (local.get $height))))
    (local.set $v (i32.add (local.get $u) (i32.mul (local.get $colourWidth) (local.get $colourHeight))))
    (loop $rows
      (local.set $x (i32.const 0))
      (loop $groups
        (call $placed (local.get $planes) (local.get $width) (local.get $height)
          (local.get $x) (local.get $y) (local.get $components))
        (call $placed (local.get $planes) (local.get $width) (local.get $height)
          (i32.add (local.get $x) (i32.const 8)) (local.get $y) (local.get $components))
        (call $placed (local.get $planes) (local.get $width) (local.get $height)
          (local.get $x) (i32.add (local.get $y) (i32.const 8)) (local.get $components))
        (call $placed (local.get $planes) (local.get $width) (local.get $height)
          (i32.add (local.get $x) (i32.const 8)) (i32.add (local.get $y) (i32.const 8)) (local.get $components))
        (call $placed (local.get $u) (local.get $colourWidth) (local.get $colourHeight)
          (i32.shr_u (local.get $x) (i32.const 1)) (i32.shr_u (local.get $y) (i32.const 1)) (local.get $uComponent))
        (call $placed (local.get $v) (local.get $colourWidth) (local.get $colourHeight)
          (i32.shr_u (local.get $x) (i32.const 1)) (i32.shr_u (local.get $y) (i32.const 1)) (local.get $vComponent))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br_if $groups (i32.lt_u (local.get $x) (local.get $width))))
      (local.set $y (i32.add (local.get $y) (i32.const 16)))
      (br_if $rows (i32.lt_u (local.get $y) (local.get $height))))
    ;; What is left of the last byte is filled with ones.
    (call $put (i32.const 127) (i32.const 7))
    (call $flush)
    (global.get $to)))
