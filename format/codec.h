/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FORMAT_CODEC_H
#define FORMAT_CODEC_H

/* Bytes to zstd frames and back. */
#include <zstd.h>

#include "format/bytebuf.h"

/* Shorter pieces are never compressed: what a frame costs is more than it saves. */
#define CODEC_MIN 64u

/* Appends the bytes to `out`, as a zstd frame if that is smaller, as they are if not. True: as a frame. */
bool codec_pack(ZSTD_CCtx *zstd, struct bytebuf *out, const uint8_t *data, size_t len);
/* Decodes exactly raw_len bytes. False: the frame is damaged or holds more or fewer. */
bool codec_unpack(ZSTD_DCtx *zstd, uint8_t *raw, size_t raw_len, const uint8_t *frame, size_t len);
/* The same when the bytes may also be as they are. */
bool codec_take(ZSTD_DCtx *zstd, bool raw, uint8_t *to, size_t raw_len, struct span stored);

#endif
