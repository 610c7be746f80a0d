"""`hgzoo demo`: a page that shows what the network sees.

`chosen` is the picture and the box, `networks` what the page offers, `looking` what comes out;
they know nothing of web pages. `page` lays the components out, `server` serves them, and `space`
writes the page as a Hugging Face Space.
"""
