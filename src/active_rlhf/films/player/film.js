import { Player } from "./player.js";

const { clips, speed } = JSON.parse(document.getElementById("page").textContent);
const player = new Player(
  document.getElementById("player"),
  clips.map((clip) => clip.film),
  { labels: clips.map((clip) => clip.label), speed, keysFrom: document },
);
window.player = player;
