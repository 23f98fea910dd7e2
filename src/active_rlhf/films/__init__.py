"""What a page needs to show behaviour: films, the tasks they are made in, and the player.

A film holds the poses of a robot's parts frame by frame, or else pictures. It is made after the
fact by replaying an episode from its origin, or from what was observed, and needs no graphics: the
page draws it (`player/player.js`). Nothing here changes what a run computes.
"""

from active_rlhf.films.film import BodyFilm, Film, PictureFilm
from active_rlhf.films.studio import NoFilm, Studio, film_of_segment

__all__ = ["BodyFilm", "Film", "NoFilm", "PictureFilm", "Studio", "film_of_segment"]
