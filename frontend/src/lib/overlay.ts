// Contributions at places as colour over a picture: orange supports, blue opposes.

const FOR = [217, 84, 10];
const AGAINST = [10, 95, 196];

/** The map as RGBA pixels, one for each place; the strongest place is the most opaque. */
export function tinted(map: number[][]): { width: number; height: number; data: Uint8ClampedArray } {
  const height = map.length;
  const width = map[0]?.length ?? 0;
  const largest = Math.max(1e-30, ...map.flat().map(Math.abs));
  const data = new Uint8ClampedArray(4 * width * height);
  map.flat().forEach((value, place) => {
    const colour = value >= 0 ? FOR : AGAINST;
    data.set([...colour, Math.round(215 * Math.sqrt(Math.abs(value) / largest))], 4 * place);
  });
  return { width, height, data };
}

export function overlay(canvas: HTMLCanvasElement, map: number[][]): void {
  const { width, height, data } = tinted(map);
  if (!width || !height) return;
  const small = document.createElement("canvas");
  small.width = width;
  small.height = height;
  const pixels = small.getContext("2d");
  const image = pixels?.createImageData(width, height);
  if (!pixels || !image) return;
  image.data.set(data);
  pixels.putImageData(image, 0, 0);
  canvas.width = canvas.height = 224;
  const to = canvas.getContext("2d");
  if (!to) return;
  to.clearRect(0, 0, 224, 224);
  to.imageSmoothingQuality = "high";
  to.drawImage(small, 0, 0, 224, 224);
}
