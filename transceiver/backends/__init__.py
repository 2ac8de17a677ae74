"""What listens and speaks behind a call.

* `contract` what a backend is asked to do
* `echo`     gives the caller their own voice back, without transcoding
* `silence`  says nothing, to a client that does not want to hear
"""
