"""What people open: a study's own pages, `results/<study>/index.html` and those beside it.

Every page is made from files of the study (statistics, tables, figures, run directories) and says
nothing that these do not. `frame` is what all pages share, `listing` a table that sorts and
filters; each other module is a page. Nothing loads from a network, so a results folder works from
disk and from any web server.
"""
