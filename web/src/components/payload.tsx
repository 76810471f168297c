export { Viewer as Payload } from "../payload/viewer";
