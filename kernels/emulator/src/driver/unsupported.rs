//! What the backend does not need: every call is refused.

use super::{Status, codes};

/// The arguments stay where the caller put them: by the C calling convention it also removes them.
macro_rules! unsupported {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> Status {
                eprintln!("emulator: {}: not supported", stringify!($name));
                codes::NOT_SUPPORTED
            }
        )*
    };
}

unsupported! {
    cuStreamBeginCapture_v2 cuStreamEndCapture cuStreamGetCaptureInfo_v2 cuThreadExchangeStreamCaptureMode
    cuStreamAttachMemAsync cuStreamWaitValue32_v2 cuStreamWriteValue32_v2
    cuGraphCreate cuGraphInstantiateWithFlags cuGraphInstantiateWithParams cuGraphLaunch cuGraphUpload cuGraphDestroy
    cuGraphExecDestroy
    cuMemAllocManaged cuMemPrefetchAsync cuMemPrefetchAsync_v2 cuMemAdvise cuMemAdvise_v2 cuMemHostGetDevicePointer_v2
    cuMemAllocPitch_v2 cuMemcpy2D_v2 cuMemcpy2DAsync_v2 cuMemcpy3D_v2 cuMemcpy3DAsync_v2
    cuMemCreate cuMemRelease cuMemMap cuMemUnmap cuMemAddressReserve cuMemAddressFree cuMemSetAccess
    cuMemGetAllocationGranularity
    cuImportExternalMemory cuDestroyExternalMemory cuExternalMemoryGetMappedBuffer
    cuLibraryLoadData cuLibraryUnload cuLibraryGetKernel cuKernelGetFunction
    cuLinkCreate_v2 cuLinkAddData_v2 cuLinkComplete cuLinkDestroy
    cuIpcGetMemHandle cuIpcOpenMemHandle_v2 cuIpcCloseMemHandle cuIpcGetEventHandle cuIpcOpenEventHandle
    cuMemPoolSetAccess cuMemPoolGetAccess
    cuGetProcAddress cuGetProcAddress_v2 cuGetExportTable
}

#[unsafe(no_mangle)]
extern "C" fn cuProfilerStart() -> Status {
    codes::SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuProfilerStop() -> Status {
    codes::SUCCESS
}
