#include "vision/image.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

dimple_status image_check(const dimple_image *image) {
  if (!image->rgb) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture has no pixels: rgb is null");
  if (image->width < 1 || image->height < 1)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture has %" PRId32 " x %" PRId32 " pixels, expected at least one", image->width,
                       image->height);
  if (image->row_stride < 3 * (int64_t)image->width)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "a picture's row_stride is %" PRId64 " bytes, expected at least 3 x its width of %" PRId32, image->row_stride,
                       image->width);
  return DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------- target size */

dimple_status image_grid(const image_parameters *parameters, int32_t width, int32_t height, dimple_image_grid *grid) {
  int32_t factor = parameters->patch_size * parameters->merge_size; /* pixels per side of a merged token */
  int64_t shorter = width < height ? width : height, longer = width < height ? height : width;
  double wide = width, high = height;
  if (shorter < factor && parameters->enlarges) { /* as Dream-VL's smart_resize: the longer side rounded, ties to even */
    wide = height < width ? rint((double)width / height * factor) : factor;
    high = height < width ? factor : rint((double)height / width * factor);
  } else if (shorter < factor)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture of %" PRId32 " x %" PRId32 " pixels: a side is below %" PRId32, width,
                       height, factor);
  else if (longer > 200 * shorter)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture of %" PRId32 " x %" PRId32 " pixels: its aspect ratio is above 200", width,
                       height);
  /* The nearest multiple of the factor, ties to even; if the area is then outside the limits, scaled with the aspect ratio
   * kept and rounded towards the allowed side. */
  double unit = factor, area = wide * high;
  double columns = rint(wide / unit), rows = rint(high / unit); /* of merged tokens */
  if (columns * rows * unit * unit > (double)parameters->max_pixels) {
    double shrink = sqrt(area / (double)parameters->max_pixels);
    columns = floor(wide / shrink / unit);
    rows = floor(high / shrink / unit);
  } else if (columns * rows * unit * unit < (double)parameters->min_pixels) {
    double grow = sqrt((double)parameters->min_pixels / area);
    columns = ceil(wide * grow / unit);
    rows = ceil(high * grow / unit);
  }
  if (columns < 1 || rows < 1)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "a picture of %" PRId32 " x %" PRId32 " pixels: a side shrinks below %" PRId32 " to keep the area within %" PRId64,
                       width, height, factor, parameters->max_pixels);
  if (columns * unit > INT32_MAX || rows * unit > INT32_MAX || columns * rows > INT32_MAX)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture of %" PRId32 " x %" PRId32 " pixels grows beyond 2^31 tokens", width, height);
  *grid = (dimple_image_grid){.resized_width = (int32_t)columns * factor,
                              .resized_height = (int32_t)rows * factor,
                              .rows = (int32_t)rows * parameters->merge_size,
                              .columns = (int32_t)columns * parameters->merge_size,
                              .tokens = (int32_t)rows * (int32_t)columns};
  return DIMPLE_OK;
}

/* --------------------------------------------------------------------------------------------------------------- resize */

enum { PIL_BITS = 22, TORCH_LARGEST = 1 << 15 };

/* The convolution along one axis: output i is the sum over t < count[i] of weights[i * capacity + t] * input[first[i] + t]. */
typedef struct resampling {
  int64_t capacity; /* the most inputs an output can have */
  int64_t *first;   /* [outputs] */
  int64_t *count;   /* [outputs] */
  int bits;         /* fractional ones of the weights */
  int32_t *weights; /* [outputs x capacity] */
} resampling;

/* Keys' cubic convolution kernel with a = -0.5. */
static double bicubic(double x) {
  x = fabs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

static void resampling_free(resampling *r) {
  free(r->first);
  free(r->count);
  free(r->weights);
}

/* The inputs of output i and their weights, which add up to 1. Shrinking stretches the kernel over them (antialiasing). `scratch` has room
 * for `capacity` weights. */
static void weigh(resampling *r, int64_t inputs, double scale, int64_t i, double *scratch) {
  double stretch = scale > 1 ? scale : 1, centre = ((double)i + 0.5) * scale, sum = 0;
  int64_t low = (int64_t)(centre - 2 * stretch + 0.5), high = (int64_t)(centre + 2 * stretch + 0.5);
  low = low < 0 ? 0 : low;
  high = high > inputs ? inputs : high;
  for (int64_t x = low; x < high; x++) sum += scratch[x - low] = bicubic(((double)x - centre + 0.5) * (1 / stretch));
  for (int64_t t = 0; t < high - low; t++) scratch[t] /= sum;
  r->first[i] = low;
  r->count[i] = high - low;
}

/* The most bits, up to PIL's, with which the largest weight stays below TORCH_LARGEST. */
static int torch_bits(resampling *r, int64_t inputs, int64_t outputs, double *scratch) {
  double largest = 0;
  for (int64_t i = 0; i < outputs; i++) {
    weigh(r, inputs, (double)inputs / (double)outputs, i, scratch);
    for (int64_t t = 0; t < r->count[i]; t++) largest = scratch[t] > largest ? scratch[t] : largest;
  }
  int bits = 0;
  while (bits < PIL_BITS && (int64_t)(0.5 + largest * (double)(1 << (bits + 1))) < TORCH_LARGEST) bits++;
  return bits;
}

static void fill_resampling(resampling *r, resize_weights weights, int64_t inputs, int64_t outputs, double *scratch) {
  r->bits = weights == RESIZE_TORCH ? torch_bits(r, inputs, outputs, scratch) : PIL_BITS;
  for (int64_t i = 0; i < outputs; i++) {
    weigh(r, inputs, (double)inputs / (double)outputs, i, scratch);
    for (int64_t t = 0; t < r->count[i]; t++) {
      double weight = scratch[t] * (1 << r->bits);
      r->weights[i * r->capacity + t] = (int32_t)(weight + (weight < 0 ? -0.5 : 0.5));
    }
  }
}

static dimple_status resampling_create(resize_weights weights, int64_t inputs, int64_t outputs, resampling *r) {
  double scale = (double)inputs / (double)outputs;
  r->capacity = (int64_t)(4 * (scale > 1 ? scale : 1)) + 2; /* support 2 * stretch on either side, and rounding */
  if (r->capacity > inputs) r->capacity = inputs;
  r->first = malloc((size_t)outputs * sizeof *r->first);
  r->count = malloc((size_t)outputs * sizeof *r->count);
  r->weights = malloc((size_t)(outputs * r->capacity) * sizeof *r->weights);
  double *scratch = malloc((size_t)r->capacity * sizeof *scratch);
  bool complete = r->first && r->count && r->weights && scratch;
  if (complete) fill_resampling(r, weights, inputs, outputs, scratch);
  else resampling_free(r);
  free(scratch);
  uint64_t size = (uint64_t)(outputs * r->capacity) * sizeof *r->weights;
  return complete ? DIMPLE_OK : dimple_fail_memory(size, "the weights of an image resize");
}

/* Rounds a sum of weights and bytes to 8 bits. The sums fit 32 bits: no kernel position, cut off at an edge or not, has weights
 * whose magnitudes add up to more than 1.7, and 1.7 * 255 * 2^22 < 2^31. */
static inline uint8_t to_byte(int32_t sum, int bits) {
  int32_t value = (sum + (1 << (bits - 1))) >> bits;
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void resample_row(const resampling *r, const uint8_t *source, int64_t outputs, uint8_t *target) {
  for (int64_t i = 0; i < outputs; i++) {
    const uint8_t *pixel = source + 3 * r->first[i];
    const int32_t *weights = r->weights + i * r->capacity;
    int32_t red = 0, green = 0, blue = 0;
    for (int64_t t = 0; t < r->count[i]; t++) {
      red += weights[t] * pixel[3 * t];
      green += weights[t] * pixel[3 * t + 1];
      blue += weights[t] * pixel[3 * t + 2];
    }
    target[3 * i] = to_byte(red, r->bits);
    target[3 * i + 1] = to_byte(green, r->bits);
    target[3 * i + 2] = to_byte(blue, r->bits);
  }
}

/* source [inputs x row_size] -> target [outputs x row_size]; `sums` has room for a row. */
static void resample_columns(const resampling *r, const uint8_t *source, int64_t stride, int64_t row_size, int64_t outputs,
                             int32_t *sums, uint8_t *target) {
  for (int64_t i = 0; i < outputs; i++, target += row_size) {
    memset(sums, 0, (size_t)row_size * sizeof *sums);
    for (int64_t t = 0; t < r->count[i]; t++) {
      const uint8_t *row = source + (r->first[i] + t) * stride;
      int32_t weight = r->weights[i * r->capacity + t];
      for (int64_t x = 0; x < row_size; x++) sums[x] += weight * row[x];
    }
    for (int64_t x = 0; x < row_size; x++) target[x] = to_byte(sums[x], r->bits);
  }
}

/* source [height x ...] -> target [height x width x 3], tight. An axis that keeps its size is copied, not convolved. */
static dimple_status resize_horizontally(const dimple_image *image, resize_weights weights, int64_t width, uint8_t *target) {
  resampling r = {0};
  if (width != image->width) DIMPLE_TRY(resampling_create(weights, image->width, width, &r));
  for (int64_t y = 0; y < image->height; y++) {
    const uint8_t *source = image->rgb + y * image->row_stride;
    if (width != image->width) resample_row(&r, source, width, target + y * width * 3);
    else memcpy(target + y * width * 3, source, (size_t)width * 3);
  }
  resampling_free(&r);
  return DIMPLE_OK;
}

static dimple_status resize_vertically(const uint8_t *source, resize_weights weights, int64_t stride, int64_t row_size, int64_t inputs,
                                       int64_t outputs, uint8_t *target) {
  resampling r = {0};
  DIMPLE_TRY(resampling_create(weights, inputs, outputs, &r));
  int32_t *sums = malloc((size_t)row_size * sizeof *sums);
  if (sums) resample_columns(&r, source, stride, row_size, outputs, sums, target);
  free(sums);
  resampling_free(&r);
  return sums ? DIMPLE_OK : dimple_fail_memory((uint64_t)row_size * sizeof *sums, "an image resize");
}

dimple_status image_resize(const dimple_image *image, resize_weights weights, int32_t width, int32_t height, uint8_t *target) {
  int64_t row_size = (int64_t)width * 3;
  if (height == image->height) return resize_horizontally(image, weights, width, target);
  if (width == image->width) return resize_vertically(image->rgb, weights, image->row_stride, row_size, image->height, height, target);
  uint8_t *narrow = malloc((size_t)(image->height * row_size)); /* [image height x width x 3] */
  if (!narrow) return dimple_fail_memory((uint64_t)(image->height * row_size), "an image resize");
  dimple_status status = resize_horizontally(image, weights, width, narrow);
  if (status == DIMPLE_OK) status = resize_vertically(narrow, weights, row_size, row_size, image->height, height, target);
  free(narrow);
  return status;
}

/* -------------------------------------------------------------------------------------------------------------- patches */

void image_patches(const image_parameters *parameters, const dimple_image_grid *grid, const uint8_t *rgb, float *patches) {
  float normalised[3][256]; /* of every byte: v / 255 computed in double, then mean and standard deviation in float */
  for (int channel = 0; channel < 3; channel++)
    for (int v = 0; v < 256; v++)
      normalised[channel][v] = ((float)(v * (1.0 / 255)) - parameters->mean[channel]) / parameters->std[channel];

  int64_t patch = parameters->patch_size, merge = parameters->merge_size, frame_size = patch * patch;
  int64_t stride = 3 * (int64_t)grid->resized_width;
  float *target = patches;
  for (int64_t block_row = 0; block_row < grid->rows; block_row += merge)
    for (int64_t block_column = 0; block_column < grid->columns; block_column += merge)
      for (int64_t row = block_row; row < block_row + merge; row++)
        for (int64_t column = block_column; column < block_column + merge; column++)
          for (int channel = 0; channel < 3; channel++) {
            const uint8_t *corner = rgb + row * patch * stride + column * patch * 3 + channel;
            for (int64_t y = 0; y < patch; y++)
              for (int64_t x = 0; x < patch; x++) target[y * patch + x] = normalised[channel][corner[y * stride + 3 * x]];
            for (int32_t frame = 1; frame < parameters->temporal_patch; frame++)
              memcpy(target + frame * frame_size, target, (size_t)frame_size * sizeof *target);
            target += parameters->temporal_patch * frame_size;
          }
}
