/* SPDX-License-Identifier: BSD-2-Clause */
#include "format/codec.h"

bool codec_pack(ZSTD_CCtx *zstd, struct bytebuf *out, const uint8_t *data, size_t len)
{
	size_t packed;
	uint8_t *to;

	if (len >= CODEC_MIN) {
		/* The room of the bytes themselves is all that a frame may take: zstd gives up when it needs more. */
		to = bytebuf_reserve(out, len);
		if (!to)
			return false;
		packed = ZSTD_compress2(zstd, to, len - 1, data, len);
		if (!ZSTD_isError(packed)) {
			out->len += packed;
			return true;
		}
	}
	bytebuf_append(out, data, len);
	return false;
}

bool codec_unpack(ZSTD_DCtx *zstd, uint8_t *raw, size_t raw_len, const uint8_t *frame, size_t len)
{
	/* zstd would go on with a frame behind it, and skip those that it calls skippable. */
	if (len < 4 || load_le(frame, 4) != ZSTD_MAGICNUMBER || ZSTD_findFrameCompressedSize(frame, len) != len)
		return false;
	/* In one shot, so that zstd keeps no window of its own: the frame's header decides over no memory. */
	return ZSTD_decompressDCtx(zstd, raw, raw_len, frame, len) == raw_len;
}

bool codec_take(ZSTD_DCtx *zstd, bool raw, uint8_t *to, size_t raw_len, struct span stored)
{
	if (!raw)
		return codec_unpack(zstd, to, raw_len, stored.at, span_left(&stored));
	if (span_left(&stored) != raw_len)
		return false;
	memcpy(to, stored.at, raw_len);
	return true;
}
