"""The embedded AWS: four accounts on this machine, for the same template as the cloud.

`launcher` starts, finds and stops it; `server` is the process; `seams` are the places where the
emulator is changed; `sagemaker` is the service that the emulator lacks; `organisation` knows the
accounts and hands out the sessions of the personas. README.md says what stays unproven.
"""
